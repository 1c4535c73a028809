from __future__ import annotations

import pytest

from airflow_provider_caixin.audience import Classifier, Segments
from airflow_provider_caixin.audience.regions import _PARTS, _SHORT, resolve


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("沈阳", {("辽宁", "沈阳")}),
        (" 沈阳市 ", {("辽宁", "沈阳")}),
        ("吉林市", {("吉林", "吉林")}),
        ("海南州", {("青海", "海南")}),
        ("海南藏族自治州", {("青海", "海南")}),
        ("海南", {("海南", "海口"), ("海南", "三亚")}),
        ("广州", {("广东", "广州")}),
        ("阿勒泰地区", {("新疆", "阿勒泰")}),
        ("西双版纳傣族自治州", {("云南", "西双版纳")}),
        ("延边朝鲜族自治州", {("吉林", "延边"), ("吉林", "珲春")}),
        ("巴音郭楞蒙古自治州", {("新疆", "巴州"), ("新疆", "库尔勒")}),
        ("锡林郭勒盟", {("内蒙古", "锡林郭勒"), ("内蒙古", "锡林郭勒盟")}),
        ("万州", {("重庆", "万州")}),
    ],
)
def test_cities_are_found_by_name(name: str, expected: set[tuple[str, str]]) -> None:
    """With and without suffix; a prefecture with the places in it that the data lists apart."""
    assert resolve([name], Segments.builtin()) == expected


@pytest.mark.parametrize(
    ("names", "province"),
    [
        (("辽宁", "辽宁省"), "辽宁"),
        (("吉林", "吉林省"), "吉林"),
        (("广西", "广西壮族自治区"), "广西"),
        (("内蒙古", "内蒙古自治区"), "内蒙古"),
        (("新疆", "新疆维吾尔自治区"), "新疆"),
        (("北京", "北京市"), "北京"),
        (("重庆", "重庆市"), "重庆"),
    ],
)
def test_a_province_is_all_its_cities(names: tuple[str, ...], province: str) -> None:
    """Also where a city has the same name, and for municipalities, with and without suffix."""
    builtin = Segments.builtin()
    expected = {region for region in builtin.regions if region[0] == province}
    assert expected
    for name in names:
        assert resolve([name], builtin) == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("沈洋", "close to it: .*沈阳"),
        ("辽宁沈阳", "close to it: .*沈阳"),
        ("Beijing", "Chinese names"),
        ("024", "Chinese names"),
        ("朝阳区", "close to it: .*朝阳"),
        ("沈阳省", "沈阳"),
        ("", "expected"),
    ],
)
def test_an_unknown_name_is_refused_with_close_ones(name: str, hint: str) -> None:
    """The sentence has the field, the value and what was expected; a district is not taken for a city."""
    with pytest.raises(
        ValueError, match=f"blocked_regions: '{name}' is no city or province .*2023-12.*{hint}"
    ):
        Classifier(blocked_regions=[name])


def test_the_lists_of_names_are_in_the_data() -> None:
    """Each short name and each part of a prefecture is a name that the built-in table has."""
    names = {*_SHORT.values(), *_PARTS, *(part for parts in _PARTS.values() for part in parts)}
    assert names <= Segments.builtin().cities
