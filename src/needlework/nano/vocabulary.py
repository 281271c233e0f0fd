"""The 512 words of the nano language, in the order of their token ids.

No word that can be an answer is part of another word, so that looking for an answer in a text never
finds a different one.
"""

import itertools

SPECIAL = ("<pad>", "<bos>", "<eos>")
"""Padding, begin of text, end of text."""
FRAME = tuple(
    """
the magic number code of what is are . ? : ... copy which variables hold note home work friend
where words common frequent count
""".split()
)
"""Words of statements and questions."""
FUNCTION = tuple(
    """
a and to in on with from by for at as or but then when while
""".split()
)
"""Small words that a book puts between its words."""
KEYS = tuple(
    """
anchor basket candle dragon engine feather garden hammer island jacket kettle ladder mirror
needle orchid pepper quartz ribbon saddle tunnel umbrella velvet walnut zipper almond button
cactus dolphin emerald falcon goblet helmet igloo jungle kitten lantern meadow napkin oyster
parrot quiver rocket spider tomato urchin violin wizard yogurt zebra apricot biscuit copper
donkey elbow fossil guitar hazel insect jigsaw koala lemon magnet nickel otter
""".split()
)
"""What a needle may be about."""
NUMBERS = tuple(str(101 + 14 * each) for each in range(64))
"""Values of three digits."""
CODES = tuple(letter + digit for letter, digit in itertools.product("bcdfghjkmnpqrstv", "2468"))
"""The alphabet of codes, of variable names and of made-up words."""
PEOPLE = tuple(
    """
adam agnes albert alice anita arthur astrid basil bertha boris bruno carmen cedric clara conrad
cyril daisy daphne diego doris dylan edgar elena elmer emil esther ethel fabian felix fiona
flora frida gerald gloria greta gustav harold hector heidi helga hugo igor ingrid irene isaac
ivan jasper jonas judith julia karen kirsten klaus lars laura leon linus lydia magda malcolm
marcel miriam naomi nestor nora oliver oscar patrick pedro petra quentin ramona rufus sabine
silas sylvia thelma tobias ursula victor
""".split()
)
"""Who the documents are about."""
PLACES = tuple(
    """
athens berlin cairo dublin geneva havana jakarta kabul lisbon madrid nairobi oslo paris quito
rome seoul tokyo vienna warsaw zagreb bergen ankara lima manila
""".split()
)
"""Where people live."""
JOBS = tuple(
    """
baker barber butcher carpenter dentist farmer lawyer miner nurse painter sailor tailor
""".split()
)
"""What people do."""
WORDS = tuple(
    """
river stone cloud winter summer forest valley morning evening shadow silver golden purple yellow
broken silent narrow hollow gentle bitter sudden heavy little ancient modern foreign distant
simple careful honest clever lazy hungry thirsty sleepy nervous cheerful lonely brave tired
people children soldier teacher doctor merchant pilgrim shepherd village market harbor castle
temple kitchen window chimney ceiling carpet blanket mattress table bottle bucket barrel wagon
carriage bridge tower fence orchard pasture barley wheat butter cheese honey sugar salt vinegar
mustard garlic cabbage carrot potato onion chicken rabbit squirrel hedgehog badger beaver turtle
lizard pigeon sparrow eagle heron salmon herring lobster follow gather wander borrow deliver
whisper scatter polish measure remember forget believe promise discover explore protect destroy
imagine compare consider describe explain provide receive remove repair return search suggest
support surprise travel trouble wonder always never often seldom rarely quickly slowly softly
loudly together apart above below behind beside between across around toward beyond under pillow
meteor canyon glacier desert
""".split()
)
"""The words that books and lists are made of."""
VOCABULARY = (
    *SPECIAL, *FRAME, *FUNCTION, *KEYS, *NUMBERS, *CODES, *PEOPLE, *PLACES, *JOBS, *WORDS
)  # fmt: skip
"""Every word; its position is its token id."""
IDS = {word: token for token, word in enumerate(VOCABULARY)}
"""The token id of every word."""
