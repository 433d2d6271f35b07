"""Hides a name so that its owner knows it again and nobody else learns it.

    张三 → 张*          one star, however long: the length of a name tells something too
    欧阳娜娜 → 欧阳*     a compound surname is a surname when something comes after it
    欧阳 → 欧*          two characters are surname and given name
    阿卜杜拉·买买提 → 阿*  no surname: the first character
    John Smith → J*     the same
    张 → *              one character may be the whole name

What is shown is one character, or one compound surname, and never the whole name.
"""

import unicodedata

_PAIRS = (
    "欧阳歐陽太史端木上官司马司馬东方東方独孤獨孤南宫南宮万俟闻人聞人夏侯诸葛諸葛尉迟尉遲公羊赫连赫連澹台澹臺"
    "皇甫宗政濮阳濮陽公冶太叔申屠公孙公孫慕容仲孙仲孫钟离鍾離长孙長孫宇文司徒鲜于鮮于司空闾丘閭丘子车子車亓官"
    "司寇巫马巫馬公西颛孙顓孫壤驷壤駟公良漆雕乐正樂正宰父谷梁穀梁拓跋夹谷夾谷轩辕軒轅令狐段干百里呼延东郭東郭"
    "南门南門羊舌微生梁丘左丘东门東門西门西門第五淳于单于單于叱干呼韩即墨"
)
COMPOUND_SURNAMES = frozenset(_PAIRS[at : at + 2] for at in range(0, len(_PAIRS), 2))

_DOTS = frozenset("·・•‧∙．⋅᛫")


def masked(name: str) -> str:
    """Mask a person's name; an empty name stays empty."""
    name = " ".join(name.split())
    if not name:
        return ""
    shown = _surname(name)
    return "*" if shown == name else f"{shown}*"


def _surname(name: str) -> str:
    compound = name[:2] in COMPOUND_SURNAMES and len(name) > 2
    if compound and not _DOTS.intersection(name) and not _attached(name[2]):
        return name[:2]
    end = 1
    while end < len(name) and _attached(name[end]):
        end += 1
    return name[:end]


def _attached(character: str) -> bool:
    """Whether it belongs to the character before it: an accent, or a selector of one of its drawn forms."""
    return unicodedata.category(character) in ("Mn", "Mc", "Me")
