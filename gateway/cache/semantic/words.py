"""What the guard knows of English: data only. A word that stands nowhere here counts as itself, and nothing else.

A group of synonyms holds words that may replace each other in any question without changing its answer. Words with two
common senses (`light`, `fall`, `draw`) and words whose exchange is a near miss (`safe`, `unsafe`) are in no group.
"""

SYNONYM_GROUPS: tuple[frozenset[str], ...] = tuple(
    frozenset(group.split())
    for group in (
        "big large", "biggest largest", "bigger larger",
        "smallest tiniest littlest",
        "fast quick", "fastest quickest", "faster quicker",
        "remove delete erase", "removing deleting",
        "create make", "creating making",
        "calculate compute",
        "show display",
        "purpose point_of",
        "improve better_up",
        "reduce lower decrease", "reducing lowering decreasing",
        "increase raise",
        "fix repair", "fixing repairing",
        "begin start commence", "beginning starting",
        "buy purchase", "buying purchasing",
        "check verify",
        "car automobile",
        "movie film", "movies films",
        "doctor physician",
        "kid child", "kids children",
        "picture image photo photograph", "pictures images photos photographs",
        "famous known renowned",
        "suggest propose recommend",
        "write compose draft",
        "flu influenza",
        "dict dictionary", "dicts dictionaries",
        "quit exit",
        "last latest most_recent",
        "purposes uses",
        "happen occur", "happened occurred", "happens occurs",
        "smart intelligent clever", "smartest cleverest",
        "cheap inexpensive", "cheapest least_expensive",
        "difficult hard", "hardest most_difficult",
        "easy simple", "easiest simplest",
        "rich wealthy", "richest wealthiest",
        "information info",
        "explain describe",
        "error exception_message",
        "database db",
        "repository repo",
        "parameter param", "parameters params",
        "application app", "applications apps",
        "mathematics maths math",
        "television tv",
        "bicycle bike",
        "airplane aeroplane", "airplanes aeroplanes",
        "assist help",
        "meaning sense_of",
        "uk united_kingdom", "usa united_states",
        "colour color", "colours colors", "flavour flavor", "favourite favorite", "centre center",
        "litre liter l_unit", "litres liters", "metre meter", "metres meters", "grey gray", "tyre tire",
        "organise organize", "summarise summarize", "analyse analyze", "optimise optimize",
        "km kilometer kilometre kilometers kilometres",
        "kg kilo kilos kilogram kilograms kilogramme kilogrammes",
        "cm centimeter centimetre centimeters centimetres",
        "lb lbs pound pounds",
        "percent percentage_of",
        "javascript js", "typescript ts", "kubernetes k8s", "postgresql postgres",
        "anticipate foresee",
    )
)  # fmt: skip

PHRASES: tuple[tuple[str, str], ...] = (
    ("second world war", "ww2"), ("world war two", "ww2"), ("world war ii", "ww2"), ("world war 2", "ww2"),
    ("wwii", "ww2"), ("first world war", "ww1"), ("world war one", "ww1"), ("world war i", "ww1"),
    ("world war 1", "ww1"), ("wwi", "ww1"),
    ("capital city", "capital"), ("multiplied by", "times"), ("is located", "is"), ("are located", "are"),
    ("united states of america", "united_states"), ("united states", "united_states"),
    ("united kingdom", "united_kingdom"), ("most recent", "most_recent"),
    ("least expensive", "least_expensive"), ("most difficult", "most_difficult"),
    ("more healthy", "healthier"), ("is there a way to", "how to"), ("what is the way to", "how to"),
    ("what are the steps to", "how to"), ("what is the reason why", "why"), ("what is the reason that", "why"),
    ("what is the reason", "why"), ("in what year", "what year"), ("in which year", "what year"),
    ("a recipe for", "recipe for"), ("information about", "about"), ("how come", "why"),
    ("far away", "far"), ("prime number", "prime"), ("prime numbers", "primes"), ("is situated", "is"),
)  # fmt: skip
"""Replaced as whole words in the lower-case text, in this order."""

OPENINGS: tuple[str, ...] = (
    "hey", "hi", "hello", "ok", "okay", "please", "kindly", "quick question", "question",
    "i want to know", "i would like to know", "i need to know", "i wonder", "i am wondering",
    "do you know", "would you say", "just wondering",
)  # fmt: skip
"""What stands before a question and changes nothing."""

CLOSINGS: tuple[str, ...] = ("please", "thanks", "thank you", "many thanks")

ASKS_TO_ACT: tuple[str, ...] = ("can you", "could you", "would you", "will you", "can you please", "could you please",
                                "would you please", "will you please")  # fmt: skip
"""Said before one of `ACTS`, they change nothing."""

ACTS = frozenset(
    "tell explain describe give show list name define suggest propose recommend help convert calculate compute write "
    "compose draft summarize translate find".split()
)
"""What a model is told to do. First in a text they are an order, not a question."""

GIVES = frozenset("tell give name state show".split())
"""Before `the …` they ask what that is."""

QUESTION_WORDS = frozenset("what which who whom whose where when why how".split())
BE_NOW, BE_THEN = frozenset("is are am".split()), frozenset("was were".split())
DO_NOW, DO_THEN = frozenset("do does".split()), frozenset(["did"])
MODALS = frozenset("can could may might must shall should will would".split())
ARTICLES = {"a": "a", "an": "a", "the": "the"}
NEGATIONS = frozenset("not never no none nobody nothing neither nor without hardly".split())
LEADING_PREPOSITIONS = frozenset("in on at from to for with using during under".split())
SCOPE_WORDS = frozenset(
    "all every each both any some most many few only either and or but because if that unless except".split()
)
"""With one of these in a text it matters where its `not` stands."""

ABOUT_WORDS = frozenset(
    "translate translated translation word words spell spelled spelling synonym synonyms antonym antonyms rhyme rhymes "
    "pronounce pronounced pronunciation letter letters phrase sentence paraphrase rewrite rephrase correct grammar quote "
    "syllable syllables anagram palindrome proofread uppercase lowercase capitalize mean means meaning say "
    "acronym abbreviation etymology plural singular noun verb adjective hyphen vowel vowels title caption polite".split()
)
"""Texts with one of these may be about words themselves: then no other word will do."""

ORDERS_ABOUT_WORDS = frozenset(["reverse", "repeat", "say", "type", "print", "echo"])
"""First in a text: what follows may be words."""

CAPITAL_NAMES = frozenset(["Word", "Grammar"])
"""Words of the above that with a capital are names."""

SPANS = frozenset("year day month century decade date".split())
"""`in what year` is `what year`."""

BEFORE_IS = frozenset("what who where when why how that there it he she here which".split())
"""After one of these `'s` is `is`; after any other word somebody owns something."""

SMALL_WORDS = frozenset("of to in on at by for from with than before after as into about over me".split())
"""A thing that somebody owns ends before one of these."""

ASKED_ALONE = frozenset(["difference", "definition", "differences"])
"""First in a text without a verb they ask what that is."""

ATTRIBUTES = {"height": "tall", "age": "old", "depth": "deep", "width": "wide", "weight": "heavy"}
"""`what is the height of x` is `how tall is x`."""

MAKERS = {"author": "wrote", "founder": "founded", "inventor": "invented", "discoverer": "discovered"}
"""`who is the author of x` is `who wrote x`."""

CASED = frozenset(
    "us it who aids pin may march august china turkey polish apple amazon shell target java jordan georgia chad mobile "
    "reading nice bath cork hamburg orange mercury word excel access office windows edge meta oracle ruby go rust "
    "swift dart julia crystal basic lambda ram rom cat dos sat act bass job mark bill will rose grace hope".split()
)
"""Words that mean something else with a capital."""

NUMBERS: dict[str, int] = {
    name: value
    for value, name in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen".split()
    )
} | {
    name: 10 * (value + 2) for value, name in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split())
}
MONTHS = frozenset("january february march april may june july august september october november december".split())
ORDINALS = {"1st": "first", "2nd": "second", "3rd": "third", "4th": "fourth", "5th": "fifth", "6th": "sixth",
            "7th": "seventh", "8th": "eighth", "9th": "ninth", "10th": "tenth"}  # fmt: skip

IRREGULAR_PARTICIPLES = frozenset(
    "made done gone seen born built bought brought caught cut dealt felt fought found got held hit hurt kept known laid "
    "led left lent let lost meant met paid put read said sent set shot shut sold spent taught told thought understood "
    "eaten given taken spoken broken chosen driven frozen hidden stolen woken beaten forgotten forbidden fallen proven shown "
    "known grown thrown drawn flown blown won worn written sung sunk run begun come become spun split spread stood struck stuck torn".split()
)

ENGLISH = frozenset(
    "what which who where when why how is are was were do does did can could should would will the of to and with from for "
    "in on a an i my explain describe write give tell list name convert define suggest calculate please".split()
)
NOT_ENGLISH = frozenset(
    "el los las una del que qué cuál cual quién quien cómo como dónde donde cuándo por para con por es son está der das ein "
    "eine den dem wie wer wo wann warum ist sind nicht und mit von zu ich kann darf welche hat le les une des du est sont "
    "qui quoi quel quelle comment pourquoi où quand avec dans pour je puis il os um uma qual onde quando porque não com é "
    "dime diga lo gli uno di che chi dove perché sono het een van wat waar hoe niet".split()
)
"""Words that no English question holds. One of them, or a letter beyond ASCII, and only the very same words count."""
