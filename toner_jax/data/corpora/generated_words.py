"""The grammar of the generated corpus, as data: syllables, word lists, name patterns and templates.

Notation, read by `generated.py`. Everything is words separated by single spaces, except:

  `<x>`     an unannotated part: a word list of `WORDS`, a pattern of `PATTERNS`, or a coined word
  `{t}`     a mention of type t, written by the pattern `<t>`
  `{t:…}`   a mention of type t, written by the pattern given here
  `<x/a>`, `{t/a}`   the same words at every place of the sentence that carries the same tag

Rules of annotation, kept by every line below: titles (`Dr.`) stay outside persons; a place or a full
personal name inside a longer name is annotated as well; a bare family name inside the name of a
company, or of a company inside that of a product, is not; weekdays, months and years are dates wherever
they stand.

A bare coined word may be a person, a place, a company or a product, so every template says by its own
words what its bare names are.
"""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(","))


SYLLABLES = _words(
    "ba, bel, bor, bri, bru, ca, cal, cor, da, dan, del, dor, dra, du, el, en, er, fa, fen, fi, fol, ga,"
    "gal, gor, gra, ha, hal, hel, hor, il, is, ja, jor, ka, kal, kar, kel, kir, kor, la, lan, len, lin,"
    "lo, lor, lu, ma, mal, mar, mel, mi, mir, mo, mol, na, nar, nel, nim, no, nor, ol, or, pa, pel, per,"
    "pra, qua, ra, ran, rel, ri, rin, ro, ru, sa, sal, sel, sha, sil, so, sol, ta, tal, tam, tar, tel,"
    "tha, tho, ti, tor, tra, tu, ul, ur, va, val, vel, vi, vik, vo, vor, wen, wil, ya, yor, za, zan, zel,"
    "zo"
)
SURNAME_ENDINGS = ("son", "sen", "ski", "ov", "ez", "eau", "man")
PLACE_ENDINGS = ("ton", "ham", "dal", "ley", "by", "ia", "ora", "wyk")

WORDS: dict[str, tuple[str, ...]] = {
    # Parts of names.
    "first": _words(
        "Adam, Alice, Anna, Arthur, Carla, Clara, Daniel, David, Diana, Edward, Elena, Emma, Eva, Felix,"
        "Frank, George, Grace, Hanna, Helen, Henry, Ida, Irene, Ivan, Jack, James, Jane, John, Julia, Karl,"
        "Laura, Leo, Lucas, Maria, Mark, Martin, Mary, Max, Mira, Nadia, Nina, Noah, Olga, Oscar, Paul,"
        "Peter, Rita, Robert, Rosa, Ruth, Sam, Sara, Simon, Sofia, Tom, Vera, Victor, Walter, Yusuf"
    ),
    "nickname": _words("Ace, Duke, Red, Doc, Tiger, Lucky, Iron, Silver"),
    "particle": _words("van, de, von, di"),
    "before_place": _words("Port, New, San, Lake, Mount, Fort, East, West, North, South, Upper"),
    "after_place": _words("Valley, Bay, Island, Heights, County, Province, Park, Falls"),
    "compass": _words("North, South, East, West"),
    "sector": _words("Motors, Energy, Foods, Systems, Media, Airlines, Steel, Pharma, Capital, Software"),
    "legal": _words("Inc., Ltd., Corp., Group, AG, plc"),
    "college": _words("University, College, Polytechnic, Academy, Law School"),
    "office": _words("City Council, Hospital, Museum, Police, Times, Orchestra, Airport Authority"),
    "charity": _words("Foundation, Institute, Trust"),
    "club_name": _words("United, Rovers, City, Athletic, Wanderers, Tigers"),
    "contest": _words("Open, Cup, Marathon, Games, Grand Prix, Masters"),
    "meeting": _words("Summit, Congress, Conference, Film Festival, Book Fair, Air Show"),
    "turmoil": _words("Battle, Siege, Treaty, Congress"),
    "scope": _words("World, National, European, International"),
    "theme": _words("Light, Water, Music, Youth, Fire, Memory, Steel, Bread, Wind"),
    "edition": _words("Pro, Max, Mini, Plus, Air, Ultra, Sport"),
    "variant": _words("Red, Sport, Limited Edition, Diesel, Beta"),
    "month": _words(
        "January, February, March, April, May, June, July, August, September, October, November, December"
    ),
    "weekday": _words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "season": _words("spring, summer, autumn, winter"),
    # Ordinary words.
    "title": _words("Dr., Professor, Judge, Captain, Mayor, Senator, General, Mr., Mrs."),
    "role": _words(
        "lawyer, teacher, painter, engineer, singer, farmer, doctor, writer, chemist, pilot, banker,"
        "director, designer, reporter, minister, historian, coach, architect"
    ),
    "player": _words("striker, goalkeeper, runner, swimmer, captain, defender, champion"),
    "relative": _words("cousin, twin, child, grandchild"),
    "subject": _words("law, music, physics, history, medicine, chemistry, economics, art"),
    "device": _words("phone, car, camera, laptop, printer, engine, watch, drone, radio"),
    "goods": _words("steel, coffee, paper, oil, milk, furniture, cars, toys"),
    "building": _words("bridge, school, library, station, factory, theatre, hotel, church, harbour"),
    "rise": _words("rose, fell, climbed, dropped, jumped, slipped"),
    "small": _words("two, three, four, five, six, seven, eight, nine, ten, twelve, twenty"),
    "order": _words("first, second, third, fourth, fifth"),
    "adjective": _words(
        "small, large, old, new, quiet, heavy, cheap, local, public, modern, long, strange, bright, cold,"
        "narrow, famous, empty, wooden"
    ),
    "people": _words(
        "critics, workers, voters, farmers, teachers, doctors, parents, tourists, officials, students,"
        "neighbours, experts, fans, visitors, drivers"
    ),
    "thing": _words(
        "report, bridge, market, road, garden, river, letter, plan, price, song, book, school, storm,"
        "train, harvest, budget, law, match, theatre, machine, window, library, ship, tax, hospital"
    ),
    "did": _words(
        "praised, ignored, discussed, welcomed, rejected, liked, feared, defended, noticed, described,"
        "mentioned, questioned"
    ),
    "adverb": _words("slowly, quickly, again, twice, quietly, later, early, often, together"),
    "stretch": _words("morning, evening, week, month, year, season, night, afternoon"),
    "shorthand": _words("TV, GDP, CEO, EU, DNA, VAT"),
}

# Pattern → weight. Coined parts: <word>, <surname>, <town>, <acronym>, <double>, <initial>, <code>, …
PATTERNS: dict[str, dict[str, int]] = {
    "person": {"<full>": 14, "<surname>": 5, "<double>": 1},
    "full": {
        "<first> <surname>": 14,
        "<first> <word>": 3,
        "<word> <surname>": 4,
        "<initial> <surname>": 1,
        "<initial> <initial> <surname>": 2,
        "<first> <initial> <surname>": 2,
        "<first> <particle> <word>": 2,
        '<first> " <nickname> " <surname>': 1,
        "<first> <surname> , Jr.": 1,
        "<first> <double>": 1,
    },
    "surname": {"<word>": 3, "<family>": 2},
    "location": {"<place>": 16, "<place> ( <compass> )": 1},
    "place": {"<word>": 5, "<town>": 4, "<before_place> <word>": 2, "<word> <after_place>": 2},
    "organization": {"<firm>": 6, "<school>": 2, "<institution>": 3, "<club>": 1},
    "firm": {"<company>": 12, "<word>": 4, "<acronym>": 1},
    "company": {
        "<brand>": 4,
        "<word> <legal>": 3,
        "<word> <sector> <legal>": 2,
        "<word> & <word>": 2,
        "<word> & Sons , Inc.": 1,
        "<word> , <word> & Co.": 1,
        "<word> ( Holdings ) <legal>": 1,
    },
    "brand": {"<word> <sector>": 1},
    "school": {
        "University of {location:<place>}": 3,
        "{location:<place>} <college>": 3,
        "{person:<full>} <college>": 1,
    },
    "institution": {
        "{location:<place>} <office>": 3,
        "Bank of {location:<place>}": 1,
        "{person:<full>} <charity>": 2,
        "Society of {location:<place>} Engineers": 1,
    },
    "club": {"{location:<place>} <club_name>": 3, "<word>": 1},
    "product": {
        "<word> <code>": 5,
        "<word> <edition>": 3,
        "<word>": 3,
        "<word> <edition> <digit>": 2,
        "<word> <code> ( Mk. <digit> )": 2,
        "<word> <digit> ( <variant> )": 1,
    },
    "event": {"<contests>": 4, "<meetings>": 4, "<history>": 1},
    "contests": {
        "{location:<place>} <contest>": 4,
        "{date:<year>} {location:<place>} <contest>": 2,
        "{organization:<brand>} <contest>": 2,
        "{person:<full>} Memorial <contest>": 1,
        "{location:<place>} <contest> , Round <digit>": 1,
        "<scope> <theme> <contest>": 1,
    },
    "meetings": {
        "{location:<place>} <meeting>": 4,
        "{date:<year>} {location:<place>} <meeting>": 1,
        "{organization:<school>} <meeting>": 1,
        '" <theme> and <theme> " <meeting>': 1,
        '" <word> , <word> and <theme> " Festival': 1,
        "<scope> <theme> <meeting>": 1,
    },
    "history": {"<turmoil> of {location:<place>}": 1},
    "day": {
        "<number> <month> <year>": 4,
        "<month> <number> , <year>": 4,
        "<weekday> , <number> <month>": 2,
        "<number> <month>": 1,
        "<weekday>": 2,
    },
    "period": {"<month> <year>": 3, "<year>": 3, "<season> <year>": 1, "the <decade>": 1},
}

TEMPLATES = (
    # Lives.
    "{person} was born in {location} on {date:<day>} .",
    "{person} ( born {date:<day>} in {location:<place>} ) is a <role> and <role> .",
    "{person} , a <role> from {location} , died in {date:<period>} .",
    "In {date:<period>} {person} moved to {location} to work as a <role> .",
    "The <role> {person} grew up near {location} and later taught at {organization:<school>} .",
    "{person} studied <subject> at {organization:<school>} before joining {organization:<firm>} .",
    "<title> {person} married <title> {person} in {location} in {date:<period>} .",
    "{person:<first> <surname/a>} and a <relative> , {person:<first> <surname/a>} , left {location} early .",
    "{person:<first> <word/a>} founded the firm {organization:<word/a>} in {location} in {date:<period>} .",
    "The <role> {person:<first> <word/a>} never saw the town of {location:<word/a>} .",
    "Friends of {person/a} say that {person/a} was always a <adjective> <role> .",
    "After the death of {person} , <small> letters to <title> {person} were found in {location} .",
    "{person} wrote <small> books about the {event:<history>} .",
    "The parents of {person} owned a <adjective> <building> in {location} .",
    "{person} , {person} and {person} shared a prize for their work on <subject> .",
    "A statue of <title> {person} stands in {location} , beside the <adjective> <building> .",
    "In {location:<word/a>} , nobody knew <title> {person:<word/a>} or the other <people> .",
    "{person} resigned as <role> of {organization} on {date:<day>} .",
    # Business.
    "Shares of {organization:<firm>} <rise> <percent> % on {date:<day>} .",
    "{organization:<firm>} said its profit <rise> to $ <money> million in {date:<period>} .",
    "{organization:<firm>} will open a factory in {location} , its <order> outside {location} .",
    "{organization:<firm>} named {person} as CEO , replacing {person} .",
    "{organization:<company>} and {organization:<company>} agreed to merge on {date:<day>} .",
    "{organization:<firm/a>} makes <goods> , yet shares of {organization:<firm/a>} stay cheap .",
    "The <role> {person} sold a stake in {organization:<firm>} for $ <money> million .",
    "On {date:<day>} {organization:<company>} closed its <adjective> plant near {location} .",
    "{organization:<firm>} , which makes <goods> in {location} , hired <small> <people> .",
    "A court in {location} fined the company {organization:<firm>} $ <money> million .",
    "The board of {organization} met in {location} without {person} , its <role> .",
    "{organization:<word/a>} , the firm that {person:<first> <word/a>} began , sells <goods> in {location} .",
    "Workers at {organization:<firm>} in {location} went on strike in {date:<period>} .",
    "The merger of {organization:<firm>} with its rival {organization:<firm>} was called off .",
    "{organization:<firm>} ( {location:<place>} ) reported a loss of $ <money> million .",
    # Products.
    "{organization:<firm>} launched the {product} , a <adjective> <device> , on {date:<day>} .",
    "The {product} is a <device> made by {organization:<firm>} in {location} .",
    "Sales of the <device> {product} <rise> <percent> % in {date:<period>} .",
    "Owners of the {product/a} say that the {product/a} is a <adjective> <device> .",
    "Compared with the {product} , the new <device> {product} is <adjective> and <adjective> .",
    "{person} designed the {product} , the <order> <device> from {organization:<firm>} .",
    "Reviewers called the {product} the best <device> of {date:<period>} .",
    "The {organization:<brand>} {product} won the prize for the best <device> at the {event:<meetings>} .",
    "{organization:<firm>} recalled <small> thousand units of the {product} after a fire in {location} .",
    "The battery of the {product} lasts <small> hours , said {person} , a <role> .",
    "A <adjective> {product} costs $ <money> , twice the price of the older <device> {product} .",
    "{organization:<word/a>} first sold its <device> , the {product:<word/a> <code>} , in {date:<period>} .",
    "Engineers tested the {product} , the {product} and the {product} on the road to {location} .",
    # Sport.
    "{organization:<club>} beat {organization:<club>} <score> on {date:<day>} .",
    "The <player> {person} scored twice for {organization:<club>} in the {event:<contests>} .",
    "{person} won the {event:<contests>} in {location} , ahead of {person} .",
    "{person} , the <player> of {organization:<club>} , will miss the {event:<contests>} .",
    "{organization:<club>} signed the <player> {person} from {organization:<club>} for $ <money> million .",
    "Fans of {organization:<club/a>} sang as the players of {organization:<club/a>} left {location} .",
    "The <player> {person} was <order> at the {event:<contests>} and <order> at the {event:<contests>} .",
    "The <order> round of the {event:<contests>} was played in {location} on {date:<day>} .",
    "Coach {person} left {organization:<club>} after the <score> defeat in {location} .",
    "In {date:<period>} {organization:<club>} won the league under coach {person} .",
    "{person/a} lost the final of the {event:<contests>} , yet {person/a} smiled .",
    # Events and politics.
    "The {event} will be held in {location} on {date:<day>} .",
    "The {event} , opened by <title> {person} , drew <small> thousand <people> .",
    "<title> {person} spoke at the {event:<meetings>} about <subject> .",
    "Rain stopped the {event} in {location} , and <people> went home .",
    "{organization:<firm>} is the main sponsor of the {event} .",
    "The {event:<history>} ended in {date:<period>} , when <title> {person} left {location} .",
    "The {event/a} was <adjective> , but the next {event/a} will be better .",
    "Before the {event:<meetings>} , the TV <role> {person} met <people> from {location} and {location} .",
    "{organization:<institution>} asked {person} to open the {event:<meetings>} in {date:<period>} .",
    "Between {date:<period>} and {date:<period>} the <people> of {location} lost <small> harvests .",
    "Voters in {location} chose <title> {person} as mayor on {date:<day>} .",
    "The road from {location} to {location} was closed on {date:<day>} after heavy snow .",
    "{location} , {location} and {location} are the oldest towns on the river .",
    "It snowed in {location} again .",
    "{person} left {location} <adverb> .",
    "{organization:<firm>} hired {person} .",
    "The <people> of {location/a} are proud of the old <building> , and {location/a} is proud of them .",
    "Trains between {location} and {location} stop near the <building> in {location} .",
    "<small> <people> were hurt in {location} on {date:<day>} , said {organization:<institution>} .",
    "{organization:<institution>} bought a painting by {person} from {organization:<institution>} .",
    "{organization:<school>} gave {person} a degree in <subject> in {date:<period>} .",
    "The {organization:<institution>} building , drawn by the <role> {person} , opened on {date:<day>} .",
    '<title> {person} of {organization:<school>} called the <thing> of {location} " too <adjective> " .',
    '" We will return to {location} , " said {person} , a <role> at {organization} .',
    "{location:<place>} ( <percent> % ) and {location:<place>} ( <percent> % ) voted for the <thing> .",
)

EMPTY_TEMPLATES = (
    "The <adjective> <thing> was less <adjective> than the <people> had hoped .",
    "<people> <did> the <adjective> <thing> and <did> the <adjective> <thing> .",
    "A <role> and a <player> <did> the <thing> <adverb> that <stretch> .",
    "The <role> said that the <thing> and the <thing> were <adjective> .",
    "Every <stretch> the <adjective> <thing> near the <building> closed <adverb> .",
    "No <role> has <did> the <adjective> <thing> so <adverb> .",
    "Prices of <goods> in the <adjective> market <rise> <percent> % that <stretch> , said <people> .",
    '" The <thing> is too <adjective> , " a <role> told the <adjective> <people> .',
    "According to the <shorthand> <thing> , <small> <people> <did> the <building> .",
    "The <role> , the <player> and the <relative> of a <role> walked home <adverb> .",
    "Why the <people> <did> the <adjective> <thing> ( and the <building> ) is not known .",
    "For the <order> time that <stretch> , <small> <people> came to see the <adjective> <building> .",
    "It was a <adjective> <stretch> , and the <people> <did> the <device> <adverb> .",
    "The <role> <did> the <thing> .",
    "The <adjective> <device> of the CEO broke <adverb> , a <role> told the <people> .",
)
