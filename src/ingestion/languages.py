"""Which letters languages use most, and in which encodings they have been written: tables, nothing else.

The letters stand in the order of how often they occur, roughly: a place or two more or less changes no
answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# What is neither letter nor ASCII and yet common, in any script.
SYMBOLS = "’“”–…—«»„°·©•€§‘‚№£®™±×²³µ½ºª¿¡‹›¼¾¢¥†‡¶¬\N{NO-BREAK SPACE}"
INSIDE_WORDS = "’·'-"
OPENING = "„‚¿¡"
IDEOGRAPHIC_SYMBOLS = "，。、：「」！？（）・ー；《》『』～【】々〜　…“”—"

_KANA = (
    "のにはをたがでてとしれさいるなもっかすりこまうくきあらけおせよつめえどみわちょんだゃそばねろやじひほごびゅぐべへ"
    "ふむげゆずぼざぬぜぎづぶぞぱぽぷぴぺぁぃぇ"
)
_KATAKANA = (
    "ンスルトラリイアクレシタフドロジテマコプメデグサオカバナセエッィウミパキャュハョニチモソムノツワビケダズブボヤポ"
    "ガネヘホヒゼベゴァェォザゲギペユヨピゾヌヴ"
)
_KANJI = (
    "日一人年大十二本中長出三時行見月分後前生五間上東四今金入学高円子外下来気小山話女書先名水男西電校語土聞食車何南万"
    "毎白天母火読友休父雨会同事自社発者地業方新場員立開手力問代明動京目通言理体田主題意不作用度強公持野以思家世多正安"
    "院心界教文元重近考画海売知道集別物使品計死特私始朝運終台広住無真有口少町料工建空急止送切転研足究楽起着店病質待試"
    "族早映親験英医仕去味写字答夜音注帰古歌買悪図週室歩風紙黒花春赤青館屋色走秋夏習駅旅服曜飲茶弟魚兄犬姉漢指定確認表"
    "示設変更削除保存処失敗成功次回全部当合性対最現化関数実内両法相調各連村市県都国民政"
)
_SIMPLIFIED = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家"
    "种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十"
    "民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯"
    "月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女"
    "变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基"
    "眼书非则听白却界达光放强即像难且权思王完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切"
    "院让识候带导争运错误找存检查径输请谢您喝茶吃每早晚车坐"
)
_TRADITIONAL = (
    "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作裡用道行所然家"
    "種事成方多經麼去法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日者意無力它與長把機十民"
    "第公此已工使情明性知全三又關點正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西月話"
    "合回特代內信表化老給世位次度門任常先海通教兒原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活更別打女變四神"
    "總何電數安少報才結反受目太量再感建務做接必場件計管期市直資命山金指許統區保至隊形社便空決治展馬科司五基眼書非則聽"
    "白卻界達光放強即像難且權思王完設式色路記南品住告類求據程北邊死張該交規萬取望覺術領共確傳師觀清今切院讓識候帶導爭"
    "運錯誤找存檢查徑輸請謝您喝茶吃每早晚車坐"
)
_SYLLABLES = (
    "이다는을를의에가고하은로지한도서기나사리자해대인어아시그일들수있정부제보전과라만스원게장여것했주조으마면구상없비"
    "무니화동공관성까진경세요유안신국모소미오연중않방학말때용물되내생각치바우거러저드려와선계간발문회실재적된될할습네"
    "데더르위였터야처음반날행민년월두및또같알람금강입김개파트단통명분심합산체불결종업교당남녀호식품집차책노래본외속약"
    "감녕운영름"
)


@dataclass(frozen=True, slots=True)
class Letters:
    """Letters, the most frequent first.

    Attributes:
        chars: the letters, in lower case.
        first_bits: what the first costs: minus the logarithm of its share.
        step_bits: what each place further down adds.
    """

    chars: str
    first_bits: float
    step_bits: float


@dataclass(frozen=True, slots=True)
class Family:
    """Languages that are written with the same encodings.

    Attributes:
        languages: the letters of each.
        encodings: Python's names, and how rare each is: minus the logarithm of its share among files.
        latin: whether words mix the letters with ASCII's.
        national: the character set that tells common ideographs from rare ones, and its first rare row.
    """

    languages: Mapping[str, tuple[Letters, ...]]
    encodings: Mapping[str, float]
    latin: bool = False
    national: tuple[str, int] | None = None


def _alphabet(chars: str, rare: str = "") -> tuple[Letters, ...]:
    return (Letters(chars, 3.2, 0.17), Letters(rare, 9.5, 0.3))


_ENGLISH = "etaoinsrhldcumfpgwybvkxjqz"
LATIN_BETWEEN = _alphabet(_ENGLISH)  # what stands between words in other scripts: code and names

_WESTERN = Family(
    {
        "English": _alphabet(_ENGLISH, "éïñçöü"),
        "French": _alphabet("esaitnrulodcmpévqfbghjàxèyêzçôùâûîkw", "œïëüæ"),
        "German": _alphabet("enisratdhulcgmobwfkzüväpößjyxqé"),
        "Spanish": _alphabet("eaosrnidlctumpbgvyqóíhfzjéáñxúükw"),
        "Portuguese": _alphabet("aeosrindmutclpvghqbfzãçájéxóêíõâúàôkwy", "ü"),
        "Italian": _alphabet("eaionlrtscdupmvghfbqzèàùòìéjkwxy"),
        "Catalan": _alphabet("easrilntocudmpvbgqfhóxjíèàéyçzòúïükw", "·"),
        "Dutch": _alphabet("enatirodslghvkmubpwjczfëxyéqïöó", "üá"),
        "Swedish": _alphabet("eantrslidomgkvhfäupåöbcjyxzéwq"),
        "Danish and Norwegian": _alphabet("erntdaisglokmfvubhpåæøyjczwxqé"),
        "Finnish": _alphabet("aintesloukämvrjhypdögbfcwå", "qšxzž"),
    },
    {"cp1252": 0.0, "iso8859_15": 1.0, "mac_roman": 2.0, "cp850": 2.0, "cp437": 2.5},
    latin=True,
)
_NORTHERN = Family(
    {
        "Icelandic": _alphabet("arniestuðglíkmádfvohóþöépjybæýúcxz"),
        "Estonian": _alphabet("aiestlundmkrovphgäjõüöb", "šfžcyzw"),
    },
    {"cp1252": 3.0, "mac_roman": 5.0, "cp850": 5.0, "cp861": 5.0},
    latin=True,
)
_CENTRAL = Family(
    {
        "Polish": _alphabet("aioeznrwstcykdpmujlłbgęhąóżśćfńqźvx"),
        "Czech": _alphabet("eaonitsrvuldkpmcíházyjběéřžčšýfgůúxťóňwďq"),
        "Slovak": _alphabet("aoeinrstvkldmpuáchjzíýbčšžéyťúgfľôňxäóďwĺŕ"),
        "Hungarian": _alphabet("eatlnskérozigmáydvbhjöpufcóőíüúűxwq"),
        "Slovenian and Croatian": _alphabet("aieonrsjtlvkdpmuzbgčhšžcfđćyxwq"),
        "Romanian": _alphabet("eairntulocsdpmăvfţgbîşzhâxjkywq"),
        "German": _alphabet("enisratdhulcgmobwfkzüväpößjyxq"),
    },
    {"cp1250": 2.0, "iso8859_2": 2.5, "cp852": 3.5},
    latin=True,
)
_BALTIC = Family(
    {
        "Lithuanian": _alphabet("iasoretnukmlpvdjgėbyšųžąįcūčęzfh", "wxq"),
        "Latvian": _alphabet("aisterunāmklodpvzījēbgšcūļfņžķģčh", "wxyq"),
        "Estonian": _alphabet("aiestlundmkrovphgäjõüöb", "šfžcyzw"),
    },
    {"cp1257": 3.0, "iso8859_13": 3.5, "cp775": 5.0},
    latin=True,
)
_RUSSIAN = Family(
    {
        "Russian": _alphabet("оеаинтсрвлкмдпуяыьгзбчйхжшюцщэф", "ёъ"),
        "Bulgarian": _alphabet("аоеитнрсвлкдпмзъугябчйжщцшхфюь"),
    },
    {"cp1251": 1.5, "koi8_r": 2.0, "cp866": 2.5, "iso8859_5": 3.5, "mac_cyrillic": 4.0},
)
_EAST_SLAVIC = Family(
    {
        "Ukrainian": _alphabet("оаниівтерслкдмупязбьгчйхшюжєцїщф", "ґ"),
        "Belarusian": _alphabet("аніыеоклрстдзвяумьпбгцчйшжхюўэё", "ф"),
    },
    {"cp1251": 2.5, "koi8_u": 3.0, "cp1125": 4.0, "iso8859_5": 4.5, "mac_cyrillic": 5.0},
)
_SOUTH_SLAVIC = Family(
    {
        "Serbian": _alphabet("аоеинрстдјкувпмлзгбчњшћцљжхђ", "фџ"),
        "Macedonian": _alphabet("аоеитнрсвкдлпмузјгбчшцжќњ", "фѓхљџѕ"),
    },
    {"cp1251": 2.5, "iso8859_5": 4.5, "cp855": 4.5},
)
_ARABIC = Family(
    {
        "Arabic": _alphabet("اليمونترهةبدعسفكحقجشخطصأى", "إذءغضزثظآئؤ،؟ًـ"),
        "Persian": _alphabet("ايردنهومتبسشکكگزقفپخحجعچ", "لآذصطضظغثژءئ،؟\N{ZERO WIDTH NON-JOINER}"),
    },
    {"cp1256": 3.0, "iso8859_6": 4.0, "cp720": 5.0},
)

FAMILIES = (
    _WESTERN,
    _NORTHERN,
    _CENTRAL,
    Family({"Romanian": _alphabet("eairntulocsdpmăvfțgbîșzhâxjkywq")}, {"iso8859_16": 4.0}, latin=True),
    Family(
        {"Turkish": _alphabet("aeinrlıdkmtyusboüşzgçhğvcöpfj", "İâîwxq")},
        {"cp1254": 2.5, "cp857": 4.5},
        latin=True,
    ),
    Family(
        {
            "Esperanto": _alphabet("aieonlsrtkjudpmvgfbcĝĉŭzŝh", "ĵĥ"),
            "Maltese": _alphabet("ialtenrumbsjkħodpfġżxqwhcċgzv", "à"),
        },
        {"iso8859_3": 5.0},
        latin=True,
    ),
    _BALTIC,
    _RUSSIAN,
    _EAST_SLAVIC,
    _SOUTH_SLAVIC,
    Family(
        {"Greek": _alphabet("αοιετσνηυρπκμλςωάόδίγέήχύθφώβξζ", "ψϊϋΐΰ")},
        {"cp1253": 3.0, "iso8859_7": 3.5, "cp737": 4.5, "mac_greek": 5.0},
    ),
    Family(
        {"Hebrew": _alphabet("יוהלאתרמבשנדעחקפכםצגזטסןךף", "ץ")},
        {"cp1255": 3.0, "iso8859_8": 3.5, "cp862": 4.5},
    ),
    _ARABIC,
    Family(
        {"Thai": (Letters("า่นรกอเงมยัลว้ีดทสิตะปบคหแุูจพื์ชขำใไโ็ผถซณฟศธษญภฉฐๆฮฝฎฏฆฬฌฤฑ", 3.4, 0.1),)},
        {"cp874": 3.0},
    ),
    Family(
        {"Japanese": (Letters(_KANA, 4.5, 0.05), Letters(_KATAKANA, 5.5, 0.05), Letters(_KANJI, 7.5, 0.013))},
        {"cp932": 2.0, "euc_jp": 3.0},
        national=("euc_jp", 0xD0),
    ),
    Family(
        {"Chinese, simplified": (Letters(_SIMPLIFIED, 5.5, 0.013),)},
        {"gb18030": 2.0},
        national=("gb2312", 0xD8),
    ),
    Family(
        {"Chinese, traditional": (Letters(_TRADITIONAL, 5.5, 0.013),)},
        {"cp950": 2.5},
        national=("big5", 0xC9),
    ),
    Family({"Korean": (Letters(_SYLLABLES, 5.0, 0.025),)}, {"cp949": 2.5}, national=("euc_kr", 0xC9)),
)
