from serving.conversation import Conversation, Turn


def test_what_the_customer_said_is_told_from_what_was_answered():
    turns = (Turn("customer", "a"), Turn("assistant", "b"), Turn("customer", "c"), Turn("agent", "d"))
    conversation = Conversation(turns, channel="chat")
    assert conversation.customer_texts() == ["a", "c"]
    assert conversation.customer_texts(last=1) == ["c"]
    assert conversation.last_customer_text() == "c"


def test_a_text_is_a_conversation_of_one_turn_and_silence_is_one_of_none():
    assert Conversation.of_text("hello").customer_texts() == ["hello"]
    assert Conversation(()).last_customer_text() == ""
