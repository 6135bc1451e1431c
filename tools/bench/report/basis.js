// SPDX-License-Identifier: MIT
// What all of the report is made of: nodes, numbers as words, and words for a result.
//
// Text of the document becomes text of the page, never markup: see node().
"use strict";

const SVG = document.getElementById("svg").namespaceURI;

// --- Nodes ------------------------------------------------------------------------------------

function node(space, name, attributes, children) {
    const made = space ? document.createElementNS(space, name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes ?? {})) {
        if (key.startsWith("on")) {
            made.addEventListener(key.slice(2), value);
        } else if (key === "tipAt") {
            made.tipAt = value;
        } else if (value !== null && value !== undefined && value !== false) {
            made.setAttribute(key, value === true ? "" : value);
        }
    }
    made.append(...children.flat(Infinity).filter((child) => child || child === 0));
    return made;
}

const h = (name, attributes, ...children) => node(null, name, attributes, children);
const s = (name, attributes, ...children) => node(SVG, name, attributes, children);
const at = (id) => document.getElementById(id);
const line = (x1, y1, x2, y2, style) => s("line", { x1, y1, x2, y2, class: style });
const text = (x, y, words, anchor = "middle", style = null) =>
    s("text", { x, y, "text-anchor": anchor, class: style }, String(words));

function drawing(width, height, label) {
    return s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
                      "aria-label": label });
}

// --- Numbers ----------------------------------------------------------------------------------

const SCALES = {
    ns: [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]],
    per_s: [[1e9, "G/s"], [1e6, "M/s"], [1e3, "k/s"], [1, "/s"]],
};

const known = (value) => value !== null && value !== undefined;
const sum = (values) => values.reduce((a, b) => a + b, 0);

function scaleOf(value, unit) {
    const scales = SCALES[unit];
    return scales.find(([size]) => Math.abs(value) >= 0.9995 * size) ?? scales[scales.length - 1];
}

function digitsOf(value) {
    const size = Math.abs(value);
    return size < 0.1 && size > 0 ? 3 : size < 10 ? 2 : size < 100 ? 1 : 0;
}

// Several values in the scale and with the digits of the first: "5.77", "0.05" and "ns".
function alike(values, unit) {
    const [size, word] = scaleOf(values[0], unit);
    const digits = digitsOf(values[0] / size);
    return [...values.map((value) => known(value) ? (value / size).toFixed(digits) : "?"), word];
}

function amount(value, unit) {
    return known(value) ? alike([value], unit).join(" ") : "–";
}

const range = (low, high) => `[${low}..${high}]`;
const ratioText = (ratio) => ratio.toFixed(2);
const ratioRange = (r) => range(ratioText(r.ratio_low), ratioText(r.ratio_high));

const counted = (value) => known(value) ? String(+value.toPrecision(2)) : "–"; // mostly 0

const thousands = (count) => count.toLocaleString("en");

// --- Results ----------------------------------------------------------------------------------

const placeOf = (result) =>
    known(result.core2) ? `${result.core} → ${result.core2}` : String(result.core);
const placeName = (result) => `CPU ${placeOf(result)}`;
const mainOf = (result) => result.value ?? result.bare; // a row may have a bare side only

function marksOf(result) {
    const marks = [];
    if (known(result.error)) {
        marks.push(["error", "failed", result.error]);
    }
    if (result.over_goal) {
        marks.push(["over", "over goal", `the ratio is above the goal of ${result.goal}`]);
    }
    if (result.disturbed) {
        marks.push(["disturbed", "disturbed", result.disturbance]);
    }
    if (known(result.outlier)) {
        marks.push(["outlier", "outlier", result.outlier]);
    }
    return marks;
}
