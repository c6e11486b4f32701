"""Scorecards, gates and case files: is the challenger better?"""
