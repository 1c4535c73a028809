"""Every prefix of a mobile number, and of which kind it is."""

from __future__ import annotations

OWN, VIRTUAL, VIRTUAL_ELSEWHERE, OTHER = "own", "virtual", "virtual elsewhere", "other"
# Written out a second time, prefix by prefix, and not as ranges.
PREFIXES = {
    OWN: "1340 1341 1342 1343 1344 1345 1346 1347 1348 135 136 137 138 139 147 150 151 152 157 158 159 172 178 182 183 "
    "184 187 188 195 197 198",
    VIRTUAL: "1703 1705 1706 165",
    VIRTUAL_ELSEWHERE: "1700 1701 1702 1704 1707 1708 1709 171 167 162",
    OTHER: "1349 130 131 132 133 140 141 142 143 144 145 146 148 149 153 154 155 156 160 161 163 164 166 168 169 "
    "173 174 175 176 177 179 180 181 185 186 189 190 191 192 193 194 196 199",
}
KINDS = [(kind, prefix) for kind, prefixes in PREFIXES.items() for prefix in prefixes.split()]
