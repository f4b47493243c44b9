r"""How models affirm, deny, doubt and quote an answer: the vocabulary of `choice`.

Patterns that end in `\Z` are searched in the short window to the left of a mention, the others are matched at the
start of the window to its right. Every repetition is bounded or runs over distinct characters, and the windows are
at most `LEFT` and `RIGHT` characters long, so each test costs a bounded time.
"""

from __future__ import annotations

import re

LEFT, RIGHT = 72, 48

_FILL = (
    r"(?:\s|[:=(>\-~]|是|为|选项|选择|图|该|即|包括|包含|有|如下|分别|以下|第"
    r"|(?i:\b(?:the|is|are|option|options|choice|choices|letter|letters|both|only|statement|statements|as|that)\b)){0,12}"
)


def _left(*patterns: str) -> re.Pattern[str]:
    return re.compile("(?:" + "|".join(patterns) + r")\Z")


def _right(*patterns: str) -> re.Pattern[str]:
    return re.compile(r"(?:" + "|".join(patterns) + ")")


# --- to the left -----------------------------------------------------------------------------------------------------

QUOTED = _left(  # examples, hypotheses, what others say, questions
    r"(?:如果|若是?|假如|假设|假使|倘若|要是|即使|即便|纵使|就算|例如|比如|譬如|诸如|形如|格式为?|有人|有的|同学|考生|学生|初学者|他人"
    r"|容易[误错混被选]|易[误错混被选]|(?<!错)误[选认以把将判为作]|错[选认]|是否|能否|可否|是不是|为什么|为何|为啥|何以|不要因为|常被|往往会?)[^,。;!?\n]{0,20}",
    r"(?i:\b(?:if|suppose|assuming|unless|were|e\.g\.|for example|for instance|such as|like|students?|people|others|someone|examinees"
    r"|test[- ]takers|why|whether|tempting|tempted|instead of|format|mistakenly|wrongly)\b)[^,。;.!?\n]{0,32}",
)
DENIED = _left(
    r"(?<!不得)(?<!不能)(?<!无)(?:不|别|勿|莫|未)(?:应该?|当|能|会|可以?|要|宜|该|建议|再|必|得|考虑|应当){0,3}(?:选择|选用|选|是|为|考虑|属于?|包括|支持|用|使用)"
    + _FILL,
    r"(?:并非|而非|绝非|决非|而不是|排除了?|可排除|剔除|否定|去掉|淘汰|除了|除去|除|非|没有?选择?|避免选?|拒绝|不支持|不同意)"
    + _FILL,
    r"答案不(?:可能|会|应该?|太可能)?[是为选]" + _FILL,
    r"不(?:太|大)?可能[是为选]?" + _FILL,
    r"(?i:(?:\bnot|n't|\bneither|\bnor|\brather than|\binstead of|\bthan|\bunlike|\bexcept|\bexcluding|\beliminat(?:e|es|ed|ing)"
    r"|\brul(?:e|es|ed|ing) out|\bexclud(?:e|es|ed)|\breject(?:s|ed)?|\bwithout|\bavoid|\bdiscard(?:ed)?|\bdismiss(?:ed)?)"
    r"(?:\s(?:be|is|to|choose|select|pick|necessarily|the|option|options|answer|choice|letter|correct|statement|answers)){0,4}\s?\(?\s?)",
)
INSISTED = _left(  # double negations and idioms that look like denials
    r"(?:不得不|不能不|非得?(?=选)|不仅|不只|不单|不光)(?:要|应该?|是|能|可以?)?选?择?(?:选项)?\s?",
    r"(?i:\bnot only\s(?:is |option |choose |select ){0,2})",
    r"不是别的,? ?(?:而|就|正)?是\s?",
)
_LINK = r"(?:就|应当?|应该|只能|当然|显然|可能|大概|最终|确实|也|则|便|无疑|最|仍然?|还|更|才)"
ANSWERED = _left(  # the clause says that what follows is the answer
    r"(?:答案|正解)(?!解析|分析|详解|说明|理由|的理由|见|不)(?:(?:(?![A-J](?![A-Za-z])|解析|分析|不是|不为|不选|并非|排除)[^。;!?\n]){0,30}?"
    r"(?:(?<![因作以称成行])为|是|选择?|属|[:=>\-]|应|即|包括|有))?[吧了]?" + _FILL,
    r"(?:^|[\s。;:,])(?:答|解|ans)\s?[:=]" + _FILL,
    r"(?:改|更正|修正|更改|纠正|订正)(?:正|选|答)?(?:为|成|选|是)" + _FILL,
    r"(?:锁定|圈定|敲定|定为)(?:为|在|答案|选项)?" + _FILL,
    r"回答\s?(?:[:=]|是|为|选)" + _FILL,
    r"最(?:接近|符合|吻合|合适|贴切|恰当|佳|可能|匹配)(?:题[意干]|要求)?的?(?:选项|答案|一项)?(?:就|应该?)?(?:是|为)?的?"
    + _FILL,
    r"(?<![挑可供多单备筛入候任误错干预竞当评精])选(?:择|取|出|定|用)?(?:了|的(?:应该?)?(?:是|为)?(?:答案|选项)?(?:是|为)?)?"
    + _FILL,
    r"(?:可|当)选(?:择|用)?(?:的是|为)?" + _FILL,
    r"(?:我|本题|此题|该题|最终|最后|正确|最佳|最优|合适|合理|符合题意)的?(?:选择|选项|判断)(?:应该?|就|当)?(?:是|为|有|包括|[:=])"
    + _FILL,
    r"(?:^|[\s。;,])(?:最终|正确|最佳)?(?:选项|选择)\s?[:=]" + _FILL,
    r"(?:正|就|应|应该|应当|当|而|才|便|则|乃|只能|只可能|无疑|必然|一定|肯定|当然)是" + _FILL,
    r"(?:应|当|应当|应该|可判断|故|判断|认定|确定|归|可)(?:辨证|诊断)?为" + _FILL,
    r"(?:我|笔者|个人)(?:\S{0,3})(?:认为|觉得|倾向于?|判断|相信|猜)(?:应该?|可能)?(?:是|为|选)?" + _FILL,
    r"非",  # 非B莫属, 非B不可: only with the matching right side
    r"(?i:\b(?:answers?|choice|choices|option|options|selection|response|conclusion|pick)\b)"
    r"(?:(?!\b[A-J]\b|(?i:\b(?:explanation|analysis|not|isn't|wrong|incorrect)\b))[^.;!?\n。]){0,80}?(?:\b(?:is|are|be|was)\b|[:=\->]),?"
    + _FILL,
    r"(?i:\banswers?|\b(?:correct|right|best|final)\s(?:answers?|options?|choices?))\s?\(?\s?",
    r"(?i:\b(?:choose|chose|choosing|select|selected|selecting|pick|picked|picking|go|going|went|opt|opted|settle|lean|leaning|stick|vote|points?|favou?rs?|leads?|leaves?)"
    r"(?:\s(?:with|for|on|towards?|to|us|me)){0,3})\s" + _FILL,
    r"(?i:\b(?:must|should|would) be)\s" + _FILL,
    r"(?i:\bnot\b[^.;!?\n]{1,40}\b(?:but(?: rather| also)?|instead)\s)" + _FILL,
    r"不[是选仅只][^。;!?\n]{1,24}(?:而是|还有|而选)" + _FILL,
    r"(?i:\bit(?:'s| is| has to be| must be| should be))\s(?:therefore |thus |clearly |definitely )?" + _FILL,
)
CONCLUDED = _left(  # weaker: counts only before a clean end, and only when nothing stronger is said
    rf"(?:因此|所以|故|故此|综上(?:所述)?|总之|由此(?:可[见知])?|可[见知]|那么|即|也就是|结论|毫无疑问|显然|应|当|就|只有|唯有|无疑|诊断|辨证)[,:\s]{{0,2}}{_LINK}?"
    + _FILL,
    r"(?:是|为|属于?|有|包括|包含|考虑|见于?|表现为|判断|诊断|选用|首选|方用|药用|治[以用宜]|宜用?|予|服用|使用|应用|用|证属|采用|符合|莫过于|倾向于?|支持|提示|归于)"
    + _FILL,
    r"(?i:\b(?:therefore|thus|so|hence|is|are|i\.e\.|conclusion|suggests?|indicates?|supports?|by elimination|consistent with|corresponds? to|match(?:es|ing)?|compatible with|most like|typical of|diagnosis of|best fits|(?:i|would|'d) (?:say|guess|think|believe)(?: that| it is| it's)?)[,:]?)\s"
    + _FILL,
    r"(?:^|[,;。.\n]\s?)",
)
_WRONG_WORD = r"(?:错误|不正确|不对|不恰当|不符合|不符|不属于|不包括|不是|有误|不妥|不宜|除外|不当|不准确|无关|非)"
RIGHT_ARE = _left(
    r"(?:正确|对|符合|属于)[^。,;!?\n]{0,12}?的?(?:选项|答案|说法|叙述|描述|表述|一项|是|为|有|项)*(?:是|为|[:=]|有|包括)"
    + _FILL
)
WRONG_ARE = _left(
    rf"{_WRONG_WORD}[^。,;!?\n]{{0,14}}?(?:的|选项|说法|叙述|描述|一项|者)+(?:应该?|就|只)?(?:是|为|[:=]|有|包括)"
    + _FILL,
    r"(?i:\b(?:incorrect|wrong|false|untrue)\s(?:answers?|options?|choices?|statements?|ones?)\s?(?:is|are|would be|:))\s?"
    + _FILL,
)
ADDED = _left(
    r"(?:也|还|同时|以及|并且?|另外|此外|加上|再加上?|又)(?:同样|可以?|应该?|应当|要|需要?|得|必须|正确|有|选择?|是|为|属于?|包括|[:,\s])*(?:选项)?",
    r"(?i:\b(?:also|plus|additionally,?))\s(?i:(?:choose|select|pick|correct|option|is|the|answer)\s){0,4}",
)
HEDGED = re.compile(
    r"(?:可能|也许|或许|大概|说不定|(?i:\bmay|\bmight|\bcould|\bpossibly|\bperhaps|\bmaybe))[^。,;!?\n]{0,12}\Z"
)
UNSURE = re.compile(
    r"(?:不能|无法|难以)(?:完全)?(?:排除|确定|判断|确认)|(?:需要?|有待|应)(?:再)?(?:进一步|结合更多)|信息不足|(?i:hard to say|cannot be determined|not enough information)"
)
EXCEPT_LEFT = _left(r"除(?:了|去|开)?(?:选项)?\s?")
ALL_BUT_LEFT = _left(
    r"(?i:\b(?:all|everything|every option|each|any|none)\b[^.;!?\n]{0,48}\b(?:except|but)(?:\s(?:for|option|options|the))?\s)\(?"
)
FREE_LEFT = _left(  # a verdict is about the option only when nothing names another thing before the letter
    r"^|[\s,。;:、!?()\-~/=>√×.]|选项|[只仅唯]有|[只仅]|只剩|其中|因此|所以|故|因|而|则|但|但是|且|可见|可知|说明|表明|认为|的|是|和|与|及|看|首先|其次|对于|关于|由于|选|即|以|唯独|中|答案|虽然?|若|项|排除后"
)
PLAIN_WORD_LEFT = _left(
    r"(?:^|[^A-Za-z\s'-]\s?|\n|(?i:\b(?:options?|choices?|answers?|statements?|letters?|only|and|but|while|so|that|thus|therefore|hence|since|because"
    r"|as|both|although|though|is|whereas|or|then|clearly|overall|or|item|why|which means|since|here|leaves)\s))\(?"
)

# --- to the right ----------------------------------------------------------------------------------------------------

_SUFFIX = (
    r"\s?(?:选项|项(?!目)|答案|方(?!法|面|向)|药(?!物)|穴|[一二两三四五六七八九](?:项|个(?:选项|方剂?|药物?|穴位?|证型?|说法)?)|[两二三四五]者|等|\)|:|-|,(?=[才均都])){0,4}\s?"
    r"(?:的|这个|中|中的)?(?:说法|描述|表述|叙述|内容|观点|陈述|组合|搭配|说|解释|表现)?\s?[(:\-]?\s?"
)
_ADVERB = r"(?:是|为|才|均|都|皆|全部?|则|也|完全|无疑|显然|应该?|确实|最|更|更加|较为?|比较|相对|同样|可以|当|所述|既|又|属于?){0,4}"
CHOSEN = _right(
    _SUFFIX
    + _ADVERB
    + r"(?:(?:正确|最佳|标准|本题|最终|唯一|的)*(?:答案|正解)(?!解析|[有之]一?误)|正确(?:的)?(?:选择|选项)|符合题[意干]|符合要求|(?:应|可|当|入|正|该|要|必|全|都)选(?!项)|最?佳|合适|恰当|贴切|合理|妥当|最符合|最?吻合|无疑[。,]?$)",
    _SUFFIX + r"(?:莫属|不可(?![选能])|最优|更优|胜出|为(?:宜|佳|好|妥|优|最)|的?(?:可能性|可能)(?:更|最|较)[大高])",
    r"\s?(?i:(?:is|are|was|were|would be|remains|seems|appears|looks|seems to be|appears to be)\s(?:both |all |clearly |therefore |thus |indeed |the |most |more |likely |also |definitely |my |only ){0,4}"
    r"(?:(?:correct|right) (?!in |for |only |but )[a-z]+|right (?:answer|option|choice|one)|correct one|best|answer|choice|appropriate|suitable|better|closest|fitting|one)\b)",
    r"\s?(?i:yes\b|- yes|: yes|fits|matches|best (?:fits|matches|describes|explains)|stands out|- matches)\b",
)
TRUE = _right(
    _SUFFIX
    + r"(?:均|都|皆|全部?|同样)(?:可以?|能)?(?:是|属于?|为|见于|出现|有|用于|治)(?!错|不|误|非|干扰|无|可能|一定)",
    _SUFFIX
    + _ADVERB
    + r"(?:正确(?!与否|率|地|认识|使用|的?用法)|对的|对(?=[\s,。;!)、.:]|$|呀|啊)|符合|准确|√|无误|没错|成立|真的?(?=[,。;\s]|$)|属实|没有?问题|不错)",
    r"\s?(?:-|:)?\s?(?i:(?:(?:is|are|was|were|seems|looks|appears|holds)\s)?(?:both |all |clearly |therefore |thus |indeed |also |definitely |only |certainly ){0,3}(?:correct|right|true|accurate|valid)\b(?! in | for | only| but))",
)
REJECTED = _right(
    _SUFFIX
    + _ADVERB
    + r"(?:不选(?!\s?[A-J])|不能选|不应选(?!\s?[A-J])|不可选|不宜选|被?排除(?!\s?[A-J])|可以?(?:被)?排除|除外|不符合?题|不合题|不考虑|不(?:是|为)(?:本题|正确|最佳|的)*(?:答案|选)|非(?:正确)?答案|不当选|不入选|(?:是|为|属)?干扰|淘汰)",
    r"\s?(?i:(?:can|could|may|should|must) (?:all |both |also |therefore |thus )?be (?:ruled out|excluded|eliminated|discarded)|(?:is|are) (?:ruled out|excluded|eliminated|unlikely|distractors?|out|not (?:the )?(?:correct |right |best )?(?:answer|choice|option))\b)",
)
WRONG = _right(
    _SUFFIX
    + _ADVERB
    + r"(?:错(?!过|综)|错误|不正确|不对|不准确|有误|不成立|不恰当|不妥|不合适|不合理|不属于?|不是(?!\s?[A-J])|并不|并非|不包括|不具|不会|不能|不应|不符|不合|不宜|不太|不够|不(?=[,。;])|不支持|不一致|不吻合|不相符|无关|无(?!误|疑)|不适|×|假的|与题[意干]不|皆非|[均都]非|与\S{1,8}不)",
    r"\s?(?:-|:)?\s?(?i:(?:(?:is|are|was|were|seems|looks|would be)\s)?(?:both |all |clearly |therefore |thus |also |definitely |partially |partly |simply ){0,3}(?:incorrect|wrong|false|untrue|inaccurate|inappropriate|irrelevant|incomplete)\b)",
    r"\s?(?:-|:)?\s?(?i:(?:is|are|was|were|does|do|did|would|can|could|should|will|has|have)(?:n't| not|not)\b|(?:fails|lacks)\b|not\b|no\b)",
)
NOT_WRONG = _right(
    _SUFFIX + r"(?:并不是错|不是错|并非错|没有错|无错|并非不|不是不|不一定|未必|是不是|不无)",
    r"\s?(?i:(?:is|are)(?:n't| not) (?:wrong|incorrect|necessarily))",
)
ONLY_LEFT = _left(r"(?:只有|唯有|仅有|唯独|唯一是|[只仅])(?:选项)?\s?", r"(?i:\bonly (?:option |choice |statement )?)")
ONLY_RIGHT = re.compile(
    r"\s?(?:选项|项)?(?:属|是|符合|能|为|具|可|有|与题|用于|适|(?i:is|does|has|can|treats|fits|matches|describes|contains|belongs)\b)"
)
DOUBTED = _right(
    r"[^。;!?\n,]{0,14}(?:吗|么(?![\w])|呢|与否|还是)|[^。;!?\n,]{0,4}的(?:同学|人|考生|学生|朋友|错误|误区|话(?!题))|[^。;!?\n,]{0,6}\?|,? ?(?:对吗|是吗|对不对|正确吗|right\?)"
)
BETWEEN = _right(r"\s?(?:选项|项)?\s?(?:之间|两者|两个|二者|中[,，]|中(?=[应选最更]|的)|里)")
CLEAN = re.compile(
    r"\s?(?:选项|项|图|[一二两三四五]项|吧|了|啦|无疑)?\s?\)?(?:\Z|\s?\n|\s?[。,;:!?]|\s?\.(?![A-Za-z0-9])|\s?--|\s-\s|\s?=|因|\(|\)|而非|而不是|不选|这|才|"
    r"均|都|皆|全|正确|对|\s?(?i:because|since|as|due|which|rather|not|instead|for)\b|为宜|为好|为佳|最|方|之|证|型|治|加减|化裁|主|无疑)"
)
LIST_END = re.compile(
    r"\s?(?:选项|项|[一二两三四五]项)?\s?\)?(?:\Z|\s?\n|\s?[。,;!?)]|\s?\.(?![A-Za-z0-9])|\s?[√×:(]|均|都|皆|全|正确|对|错|不|符合|[一二两三四五]者|等|共|同时|为|是|属|最|中|之间|还是|的|可|应|"
    r"\s?(?i:is|are|can|could|both|all|were|would|should|because|since|as|fits?|match(?:es)?|seems?|looks?|as well|too)\b)"
)
GOES_ON = re.compile(
    r"\n(?:问题|题目|例题|下一题|新的?问题|[Qq]uestion|QUESTION|[Uu]ser|USER|用户|[Hh]uman|病人|患者提问)\s?[0-9]{0,3}\s?[:.]"
)
THE_REST = re.compile(
    r"(?:其余|其他|其它|剩下|剩余|余下|另外|余)(?:的)?(?:各|几个|[一二两三四五六七八九]个?)?(?:个)?(?:选项|项|者|答案|叙述|说法|描述)?(?:的)?(?:说法|叙述|内容|描述)?"
    r"(?:均|都|皆|全部?|则|也|是|为|属于|完全){0,4}(?:(?P<yes>正确|对|符合|可选|应选|是|属于|气)|(?P<no>错|不对|不正确|不符|不是|不属|有误|排除))"
    r"|(?i:\b(?:the (?:rest|others?|remaining(?: \w+)?|other (?:\w+ )?(?:options|choices|statements))|(?:all )?(?:the )?others?(?: options| choices| statements)?)"
    r"\s(?:is|are)\s(?:all |both )?(?:(?P<yes2>correct|true|right)|(?P<no2>incorrect|wrong|false|not)))"
)
POSITIVE = re.compile(
    r"(?<!不)(?:正确|对(?![应比])|符合|可选|应选|当选|选|(?<!不)(?:都|均|皆|全)(?:是|属|为|可|能|有))|(?i:\b(?:correct|true|right)\b)"
)
NEGATIVE = re.compile(r"错|不对|不正确|不符|不是|不属|不能|不选|有误|非|(?i:\b(?:incorrect|wrong|false|not)\b)")
NEGATIVE_STEM = re.compile(
    r"错误|不正确|不恰当|不准确|不妥|有误|不属于|不属|不包括|不是|不符合|不符|不含|不对|除外|除[^,。;]{1,14}外|无关|欠妥|不当"
    r"|\b(?:EXCEPT|NOT|INCORRECT|FALSE|[Ee]xcept|[Ii]ncorrect|[Ff]alse|[Uu]ntrue|not (?:true|correct|a|an|one|part|belong|include))"
)
RETRACTED = re.compile(
    r"(?:^|[\s。!?;])(?:不对|不,|错了|等等|等一下|更正|修正|重新)|(?i:\b(?:wait|actually|correction|no,))"
)
ALL_OF_THEM = re.compile(
    r"(?:以上|上述|全部|所有|四个|五个|四者|五者|四项|五项)(?:各项|选项|答案|说法|内容|几项)?(?:均|都|皆|全部|全)(?:是|对|正确|选|可|符合|包括)(?!不)|全选|全部正确|全都?对|都选|全部都是"
    r"|(?i:\ball of the (?:above|options|choices)(?! except| but)|\ball the above|\ball (?:\w+ )?options are correct|\ball are correct)"
)
NONE_OF_THEM = re.compile(
    r"(?:以上|上述)?(?:各项|选项|答案|说法)?(?:均|都|皆)(?:不是|非|不对|不正确|错|无)|(?i:\bnone of (?:the (?:above|options|choices)|these)|\bneither of the above)"
)
