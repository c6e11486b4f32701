"""How sure a challenger must be, given those that the same champion has faced before.

Every night a challenger is judged. Were each given 0.05, a champion would lose to one that is no better within weeks.
So the whole chance of ever calling one better that is not, ``total``, is spent over the sequence of challengers of one
champion's reign: the i-th gets a share in proportion to i ** -1.6 (alpha spending; Tian and Ramdas, Statistical Methods
in Medical Research 2021, "Online control of the familywise error rate"). The shares of an endless sequence sum to one,
and their chances of error to ``total`` at most, whatever the challengers have in common. A new champion begins anew.
"""

from typing import Final

_DECAY: Final = 1.6
"""The exponent that Tian and Ramdas use: it spends early, and leaves something for ever."""


def spend_alpha(total: float, look: int, *, tasks: int = 1) -> float:
    """Return the level of the ``look``-th challenger of a reign.

    Args:
        total: the chance that any challenger of the reign is called better by chance, in (0, 1).
        look: which challenger of the reign it is, from 1.
        tasks: how many of the release's models are tested for being better (>= 1): each gets an even part.

    Raises:
        ValueError: ``look`` or ``tasks`` is below 1.
    """
    from scipy.special import zeta

    if look < 1 or tasks < 1:
        raise ValueError(f"a look and a number of tasks from 1 on are needed, found {look} and {tasks}")
    return total * look**-_DECAY / float(zeta(_DECAY)) / tasks
