"""Units, scales and clocks: what may stand behind a number, and what changes its value."""

from case_tables import RIGHT, WRONG, table

UNITS = [
    (r"90^\circ", "90", RIGHT),
    ("90", r"90^\circ", RIGHT),
    (r"90^\circ", r"90^{\circ}", RIGHT),
    (r"90^\circ", "90 degrees", RIGHT),
    (r"90^\circ", "90°", RIGHT),
    (r"90^\circ", r"\frac{\pi}{2}", WRONG, "known: degrees are not turned into radians"),
    (r"\frac{270}7\text{ degrees}", r"\frac{270}{7}^\circ", RIGHT),
    (r"15\mbox{ cm}^2", "15", RIGHT),
    (r"15\mbox{ cm}^2", "15 cm^2", RIGHT),
    (r"15\mbox{ cm}^2", r"15 \text{ square centimeters}", RIGHT),
    (r"864 \mbox{ inches}^2", "864", RIGHT),
    (r"864 \mbox{ inches}^2", r"864 \text{ in}^2", RIGHT),
    (r"864 \mbox{ inches}^2", r"864 \text{ ft}^2", WRONG, "another unit"),
    (r"5\text{ m}", r"5\text{ km}", WRONG, "the same"),
    (r"5\text{ m}", "5 meters", RIGHT),
    (r"5\text{ m}", r"500\text{ cm}", WRONG, "known: units are not converted"),
    ("5", r"x = 5 \text{ cm}", RIGHT),
    ("5", "5 oranges", RIGHT),
    (r"5\text{ oranges}", "5 apples", RIGHT, "words that are no unit of measurement say nothing"),
    ("60", "60 miles per hour", RIGHT),
    (r"60 \text{ km/h}", "60 mph", WRONG, "another unit"),
    (r"60 \text{ mph}", "60 miles per hour", RIGHT),
    (r"\$5", "5 cents", WRONG, "another unit"),
    (r"2 \text{ hours}", "120 minutes", WRONG, "known: units are not converted"),
    (r"1 \text{ hour } 30 \text{ minutes}", "1 hour 30 minutes", RIGHT),
    ("12\\pi", r"12\pi \text{ square units}", RIGHT),
    ("12\\pi", "12\\pi cm^2", RIGHT),
    (r"8\sqrt{3}{squareinches}", r"8\sqrt{3}", RIGHT, "MathVision has fused units"),
    ("69{degrees}", "69", RIGHT, "the same"),
    (r"\frac{3}{4}\pi{inches}", r"\frac{3\pi}{4}", RIGHT, "the same"),
    ("5", r"5\text{ or more}", WRONG, "these words are no unit"),
    ("5", "5 less than x", WRONG),
]


SCALES = [
    ("4000000", r"4\text{ million}", RIGHT),
    (r"4\text{ million}", "4", WRONG, "a scale is no unit that may be left out"),
    (r"4\text{ million}", "4,000,000", RIGHT),
    (r"5\text{ million}", r"5\text{ billion}", WRONG),
    (r"\$5\text{ million}", r"\$5", WRONG),
    (r"\$5\text{ million}", r"5\text{ million dollars}", RIGHT),
    (r"\frac{1}{2}\text{ million}", "500000", RIGHT),
    (r"\frac{1}{2}\text{ million}", r"\frac{1}{2}", WRONG),
    (r"5\pi\text{ million}", r"5\pi", WRONG),
    ("5", "5 millions", WRONG),
    ("3", "3 dozen", WRONG, "a dozen is twelve"),
    ("36", r"3\text{ dozen}", RIGHT),
]

NO_UNITS = [
    ("5", "5 eighths", WRONG),
    ("5", r"5\text{ thousandths}", WRONG),
    ("3", "3 remainder", WRONG),
    ("2", r"2\text{ doubled}", WRONG),
    ("20", "20 degrees below zero", WRONG),
    ("5", "5 divided by three", WRONG),
    ("5", r"5\text{ negative}", WRONG),
    ("3", "3 months", RIGHT, "months are no fractions"),
]

DEGREES_AND_CLOCKS = [
    ("20°C", "20°F", WRONG),
    (r"20^\circ\text{C}", r"20^\circ\text{F}", WRONG),
    (r"20^\circ\text{C}", "20°C", RIGHT),
    (r"20^\circ\text{C}", "20 degrees Celsius", RIGHT),
    (r"20^\circ\text{C}", r"20^\circ", RIGHT, "the scale is the question's to say"),
    ("20°C", "20", RIGHT),
    (r"10:30\text{ a.m.}", r"10:30\text{ p.m.}", WRONG),
    (r"10:30\text{ a.m.}", "10:30 pm", WRONG),
    (r"10:30\text{ a.m.}", "10:30 AM", RIGHT),
    (r"10:30\text{ a.m.}", "10:30 a.m.", RIGHT),
    (r"10:30\text{ a.m.}", "10:30", RIGHT, "the half of the day is a unit like others"),
    (r"10:30\text{ a.m.}", "10:31 a.m.", WRONG),
    ("3am", "3", WRONG, "a product of variables"),
]

NUMBERS = [
    ("3", "3 pi", WRONG),
    ("3", "3 i", WRONG),
    ("3", "3 r", WRONG),
    ("5", "5 sqrt", WRONG),
    ("5", "5 point five", WRONG),
    ("5", "5 thousandths", WRONG),
    ("2", "2 doubled", WRONG),
    ("5 km", "5 mm", WRONG, "another unit"),
    ("5 km", "5", RIGHT),
    ("20 °C", "20 °F", WRONG),
    ("5 pm", "5 am", WRONG),
    ("5", "5 p.m.", RIGHT),
    ("0.00001", "1e-5", RIGHT),
    ("1e-05", "0.00001", RIGHT, "as Python writes that number"),
    ("1500", "1.5e3", RIGHT),
    ("1500", r"1.5 \times 10^3", RIGHT),
    ("1500", "1.5 x 10^{3}", RIGHT),
    ("1500", "1.5 x 10^4", WRONG),
    ("1500", "1.5e9999", WRONG, "no exponent of more than three digits is read"),
]

CASES = [
    *table("math", [*UNITS, *SCALES, *NO_UNITS, *DEGREES_AND_CLOCKS]),
    *table("number", NUMBERS),
]
