"""Names of cities and provinces as they are commonly written, found in the segment data."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_caixin.audience.segments import Region, Segments

_MUNICIPALITIES = frozenset({"北京", "天津", "上海", "重庆"})
_PROVINCE_SUFFIX = re.compile(r"(省|(壮族|回族|维吾尔)?自治区)$")
# 区 and 县 are not among them: 朝阳区 is a part of 北京, 朝阳 a city in 辽宁.
_PEOPLES = "朝鲜|土家|苗|侗|布依|藏|羌|彝|白|傣|景颇|傈僳|哈尼|壮|回|蒙古|哈萨克|柯尔克孜"
_CITY_SUFFIX = re.compile(rf"(市|地区|盟|新区|林区|((({_PEOPLES})族?)+自治)?州)$")

# The data has these under a short name only.
_SHORT = {"巴音郭楞": "巴州", "博尔塔拉": "博州", "克孜勒苏": "克州"}

# Places that the data lists beside the prefecture they lie in (its seat, a county, a city since merged):
# whoever blocks the prefecture means them too. 江汉 is the old name of the area of three cities.
_PARTS = {
    "保定": ("雄安",),
    "信阳": ("潢川",),
    "兴安": ("乌兰浩特",),
    "乌兰察布": ("集宁",),
    "伊犁": ("奎屯",),
    "凉山": ("西昌",),
    "博州": ("博乐",),
    "合肥": ("巢湖",),
    "呼伦贝尔": ("海拉尔",),
    "巴州": ("库尔勒",),
    "巴彦淖尔": ("临河",),
    "延边": ("珲春",),
    "济南": ("莱芜",),
    "海北": ("海晏",),
    "海西": ("格尔木",),
    "湘西": ("吉首",),
    "锡林郭勒": ("锡林郭勒盟",),
    "仙桃": ("江汉",),
    "天门": ("江汉",),
    "潜江": ("江汉",),
}


def resolve(names: Iterable[str], segments: Segments) -> frozenset[Region]:
    """Return the regions that the Chinese names of cities and provinces stand for.

    Names are matched by name and never by area code (four cities share 024). A suffix (市, 省, 自治区, 地区,
    自治州 ...) may be left out. A province stands for all its cities. Where a province and a city share a
    name the bare name and the name with 省 are the province, and only the name with the city's suffix is the
    city: 吉林 and 吉林省 are the province, 吉林市 the city in it; 海南 is the province, 海南州 the prefecture
    in 青海. The municipalities 北京, 天津, 上海 and 重庆 are province and city in one.

    :raises ValueError: a name is in none of the data; the text gives close ones.
    """
    return frozenset(region for name in names for region in _find(name, segments))


def _find(name: str, segments: Segments) -> list[Region]:
    text = name.strip()
    found = [region for region in segments.regions if region[0] == _province(text)]
    if not found:
        short = _CITY_SUFFIX.sub("", text)
        cities = {text, short, _SHORT.get(short, short)}
        cities.update(part for city in tuple(cities) for part in _PARTS.get(city, ()))
        found = [region for region in segments.regions if region[1] in cities]
    if not found:
        known = segments.provinces | segments.cities
        close = "、".join(get_close_matches(text, sorted(known), cutoff=0.5))
        raise ValueError(
            f"blocked_regions: {name!r} is no city or province in the segment data of {segments.data_date}; "
            "expected Chinese names such as 北京, 沈阳市 or 辽宁省 (English and pinyin names are not known)"
            + (f"; close to it: {close}" if close else "")
        )
    return found


def _province(text: str) -> str:
    short = _PROVINCE_SUFFIX.sub("", text)
    return text[:-1] if text.endswith("市") and text[:-1] in _MUNICIPALITIES else short
