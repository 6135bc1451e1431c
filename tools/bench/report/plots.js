// SPDX-License-Identifier: MIT
// The figures of a row. Each function makes one for the result that was chosen among the row's
// places, so many pixels wide; or null, where there is nothing to show. Nothing is computed here
// but positions.

const CELLS_WITH_TEXT = 32; // CPUs of a map with a value in each cell; above, one picture
const MAP_SPAN_MIN = 1.3;   // so that noise does not get all colours of a map
// Cividis: grows evenly in brightness, and looks alike to all.
const COLOURS = [[0, 32, 77], [0, 51, 111], [57, 72, 107], [87, 92, 109], [112, 113, 115],
                 [138, 135, 121], [166, 157, 117], [196, 181, 108], [228, 207, 91], [255, 234, 70]];

// --- Scales of plots --------------------------------------------------------------------------

function niceTicks(low, high, count) {
    const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((n) => n * power).find((size) => size >= rough);
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
        ticks.push(i * step);
    }
    return ticks;
}

function logTicks(low, high) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
        ticks.push(...[1, 2, 5].map((n) => n * 10 ** power));
    }
    const inside = ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
    return inside.length > 7 ? inside.filter((tick) => /^1/.test(tick.toExponential())) : inside;
}

// Positions from..to for values low..high; logarithmic where they span decades.
function scale(low, high, from, to, count, fromZero = false) {
    const log = !fromZero && low > 0 && high / low > 20;
    const margin = fromZero ? 0 : (high - low) * 0.04 || Math.abs(high) * 0.01 || 1;
    const ends = fromZero ? [0, high * 1.08 || 1]
        : log ? [low * 0.93, high * 1.07] : [low - margin, high + margin];
    const f = log ? Math.log : (value) => value;
    const factor = (to - from) / (f(ends[1]) - f(ends[0]));
    const made = (value) => from + (f(value) - f(ends[0])) * factor;
    made.ticks = log ? logTicks(ends[0], ends[1]) : niceTicks(ends[0], ends[1], count);
    made.log = log;
    return made;
}

function tickText(ticks, unit) {
    const [size, word] = scaleOf(Math.max(...ticks), unit);
    return [(tick) => String(+(tick / size).toPrecision(4)), word];
}

const axisWords = (unit, word) =>
    `${word}${unit === "ns" ? " per unit, less is better" : ", more is better"}`;

// --- Distribution of the repetitions ----------------------------------------------------------

function noiseText(noise, i) {
    const parts = [["steal_ms", "ms stolen"], ["switches", "involuntary switches"],
                   ["interrupts", "interrupts"], ["waited_us", "µs waited"], ["mhz", "MHz"]];
    return parts.filter(([key]) => known(noise?.[key]?.[i]))
        .map(([key, words]) => `${noise[key][i]} ${words}`).join(", ");
}

function lanesOf(result) {
    return [
        { name: "shardrt", style: "run", values: result.values, low: result.low,
          high: result.high, middle: result.value, noise: result.noise },
        { name: "limit", style: "limit", values: result.limit_values, low: result.limit_low,
          high: result.limit_high, middle: result.limit },
        { name: "bare", style: "bare", values: result.bare_values, middle: result.bare },
    ].filter((lane) => lane.values?.length > 0);
}

// From where to where all lie but for one in 50 at either end.
function bulk(values) {
    const inOrder = [...values].sort((a, b) => a - b), n = values.length;
    return [inOrder[Math.floor(n * 0.02)], inOrder[Math.ceil(n * 0.98) - 1]];
}

// A repetition; an arrow at the edge for one that lies beyond.
function repetitionMark(place, y, least, most, style, many, tip) {
    const x = Math.min(Math.max(place, least), most), way = place > most ? 7 : -7;
    return x === place
        ? s("circle", { cx: x, cy: y, r: many ? 2 : 3.2, class: `dot ${style}`, "data-tip": tip })
        : s("path", { d: `M${x - way} ${y - 4}l${way} 4l${-way} 4z`, class: `dot beyond ${style}`,
                      "data-tip": tip });
}

// Each side around its own median, so that their noise can be compared; how far the medians are
// apart is the ratio's to say.
function distributionFigure(row, result, width) {
    const lanes = lanesOf(result);
    if (lanes.length === 0) {
        return null;
    }
    const left = 76, tall = 74, bottom = lanes.length * tall + 6;
    const off = (lane, value) => 100 * (value / lane.middle - 1);
    const ends = lanes.flatMap((lane) => bulk(lane.values).map((value) => off(lane, value)));
    const x = scale(Math.min(...ends, -1), Math.max(...ends, 1), left, width - 14, width / 90);
    const svg = drawing(width, bottom + 36, `Repetitions of ${row.name}`);
    svg.append(...x.ticks.flatMap((tick) => [line(x(tick), 4, x(tick), bottom, "grid"),
        text(x(tick), bottom + 15, `${tick > 0 ? "+" : ""}${+tick.toPrecision(3)} %`)]));
    lanes.forEach((lane, i) => {
        const top = i * tall + 8, height = tall - 12, n = lane.values.length;
        if (known(lane.low)) {
            const from = x(off(lane, lane.low)), to = x(off(lane, lane.high));
            svg.append(s("rect", { x: from, y: top, height, width: Math.max(to - from, 1),
                class: `band ${lane.style}` }));
        }
        svg.append(line(x(0), top, x(0), top + height, lane.style),
            text(left - 8, top + height / 2 - 3, lane.name, "end", "strong"),
            text(left - 8, top + height / 2 + 12, amount(lane.middle, result.unit), "end"));
        lane.values.forEach((value, k) => {
            const noise = lane.noise ? noiseText(lane.noise, k) : "";
            svg.append(repetitionMark(x(off(lane, value)), top + (k + 0.5) / n * height, left,
                width - 14, lane.style, n > 60, `${lane.name}, repetition ${k + 1}: ` +
                `${amount(value, result.unit)}${noise && `\n${noise}`}`));
        });
    });
    svg.append(line(left, bottom, width - 14, bottom, "axis"),
        text((left + width) / 2, bottom + 31, "difference from the median of the same side"));
    const beyond = svg.querySelectorAll(".beyond").length;
    return h("figure", null, h("figcaption", null, h("b", null, "Repetitions"),
        ", the first above. Band: 95 % interval of the median.",
        beyond > 0 && ` Arrows: ${beyond} beyond the edge.`), svg);
}

// --- Latency by percentile --------------------------------------------------------------------

const nines = (share) => -Math.log10(1 - share); // 0.99 is 2

function percentileLine(latency, x, y, style) {
    const total = sum(latency.histogram.map(([, count]) => count));
    let seen = 0, path = "";
    for (const [value, count] of latency.histogram) {
        const from = nines(seen / total);
        seen += count;
        // The last value stands at one in `total`: further right nothing was seen.
        const to = seen >= total ? Math.max(from, Math.log10(total)) : nines(seen / total);
        const [x1, x2, level] = [x(from), x(to), y(value)].map((place) => place.toFixed(1));
        path += `${path ? "L" : "M"}${x1} ${level}H${x2}`;
    }
    return s("path", { d: path, class: `line ${style}` });
}

function latencyTips(svg, sides, x, y) {
    for (const { name, latency, style } of sides) {
        for (const [key, share, label] of [["p50", 0.5, "50 %"], ["p90", 0.9, "90 %"],
                                           ["p99", 0.99, "99 %"], ["p999", 0.999, "99.9 %"]]) {
            if (known(latency[key]) && nines(share) <= Math.log10(latency.count)) {
                svg.append(s("circle", { cx: x(nines(share)), cy: y(latency[key]), r: 3.6,
                    class: style, "data-tip":
                        `${name}: ${label} took at most ${amount(latency[key], "ns")}` }));
            }
        }
    }
}

function latencyFigure(row, result, width) {
    const sides = [{ name: "shardrt", latency: result.latency, style: "run" },
        { name: "limit", latency: result.limit_latency, style: "limit" }]
        .filter((side) => side.latency?.histogram?.length > 0);
    if (sides.length === 0) {
        return null;
    }
    const left = 58, height = 196, bottom = height - 36;
    const values = sides.flatMap((side) => side.latency.histogram.map(([value]) => value));
    const decades = Math.max(...sides.map((side) => Math.log10(side.latency.count)), 1);
    const x = (count) => left + count / decades * (width - left - 22);
    const y = scale(Math.max(Math.min(...values), 1), Math.max(...values, 1), bottom, 16, 5);
    const [words, word] = tickText(y.ticks, "ns");
    const svg = drawing(width, height, `Latency of ${row.name} by percentile`);
    svg.append(...y.ticks.flatMap((tick) => [line(left, y(tick), width - 22, y(tick), "grid"),
        text(left - 6, y(tick) + 4, words(tick), "end")]));
    for (const share of [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999]) {
        if (nines(share) <= decades + 0.01) {
            svg.append(line(x(nines(share)), 10, x(nines(share)), bottom, "grid"),
                text(x(nines(share)), bottom + 15, +(100 * share).toFixed(4)));
        }
    }
    svg.append(line(left, bottom, width - 22, bottom, "axis"),
        ...sides.map((side) => percentileLine(side.latency, x, y, side.style)),
        text((left + width) / 2, bottom + 31, "% of the units took at most this long"),
        text(left - 6, 8, `${word}${y.log ? ", logarithmic" : ""}`, "start"));
    latencyTips(svg, sides, x, y);
    return h("figure", null, h("figcaption", null, h("b", null, "Latency"),
        " by percentile. ", sides.map((side) => legend(side.style, side.name,
            `${side.name}, max ${amount(side.latency.max, "ns")}`))), svg);
}

function legend(style, name, words) {
    const svg = drawing(24, 10, name);
    svg.append(line(0, 6, 24, 6, `line ${style}`));
    return h("span", { class: "legend" }, svg, ` ${words}`);
}

// --- Groups of CPUs: what plots over CPUs share -----------------------------------------------

// Runs of neighbours with the same package, node and cache, from the outermost level in. Levels
// that group alike are one; a level with a single group says nothing.
function levelsOf(members) {
    const levels = [];
    for (const key of ["package", "node", "cache"]) {
        const runs = [];
        members.forEach((cpu, i) => {
            const last = runs[runs.length - 1];
            if (last && members[i - 1][key] === cpu[key]) {
                last.end = i + 1;
            } else {
                runs.push({ start: i, end: i + 1, label: `${key} ${cpu[key] ?? "?"}`,
                            brief: String(cpu[key] ?? "?") });
            }
        });
        const same = levels.find((level) => level.length === runs.length
            && level.every((run, i) => run.start === runs[i].start));
        if (same) {
            same.forEach((run, i) => { run.label += ` · ${runs[i].label}`; });
        } else if (runs.length > 1 && runs.length < members.length) {
            levels.push(runs);
        }
    }
    return levels;
}

// Brackets with the names of the groups below or above an axis; `turned`: beside one. All of a
// level have their full name, or all a short one, or none.
function brackets(runs, from, size, offset, turned) {
    const fits = (key) => runs.every(
        (run) => (run[key].length + 1) * 6.2 < (run.end - run.start) * size);
    const key = ["label", "brief"].find(fits);
    return runs.flatMap((run) => {
        const start = from + run.start * size + 2, end = from + run.end * size - 2;
        const middle = (start + end) / 2;
        const label = text(turned ? 0 : middle, turned ? 0 : offset - 4, key ? run[key] : "",
                           "middle", "strong");
        if (turned) {
            label.setAttribute("transform", `translate(${offset - 4} ${middle}) rotate(-90)`);
        }
        return [label, turned ? line(offset, start, offset, end, "axis")
            : line(start, offset, end, offset, "axis")];
    });
}

// --- Cores beside each other ------------------------------------------------------------------

function coreBar(row, result, x, size, y, chosen) {
    const value = mainOf(result), bar = Math.max(size * 0.72, 1), left = x - bar / 2;
    const style = known(result.outlier) ? "bad" : known(result.value) ? "run" : "bare";
    const tip = `${placeName(result)}: ${amount(value, result.unit)}` +
        `${known(result.limit) ? `, limit ${amount(result.limit, result.unit)}` : ""}` +
        marksOf(result).map(([, word, why]) => `\n${word}: ${why}`).join("");
    const parts = [s("rect", { x: left, y: y(value), width: bar, height: y(0) - y(value),
        class: `bar ${style}${result.disturbed ? " disturbed" : ""}`, "data-tip": tip })];
    if (known(result.low)) {
        parts.push(line(x, y(result.low), x, y(result.high), "whisker"));
        if (bar > 5) {
            parts.push(line(x - 3, y(result.low), x + 3, y(result.low), "whisker"),
                line(x - 3, y(result.high), x + 3, y(result.high), "whisker"));
        }
    }
    if (known(result.limit)) {
        parts.push(line(left, y(result.limit), left + bar, y(result.limit), "line limit"));
    }
    if (known(result.outlier)) {
        parts.push(text(x, y(Math.max(value, result.high ?? 0)) - 5,
            size > 46 ? "outlier" : "▼", "middle", "warn"));
    }
    if (result === chosen) {
        parts.push(line(left, y(0) + 2, left + bar, y(0) + 2, "chosen"));
    }
    return parts;
}

function coresFigure(row, chosen, width, wide, choose) {
    const members = row.cpus, left = 58, height = 230;
    const good = row.places.filter((result) => known(mainOf(result)));
    if (row.first.kind !== "core" || members.length < 2 || good.length === 0) {
        return null;
    }
    const levels = levelsOf(members), bottom = height - 36 - 18 * levels.length;
    const size = Math.min(Math.max((width - left - 10) / members.length, 4), 90);
    const full = Math.max(width, left + 10 + size * members.length);
    const most = Math.max(...good.flatMap((r) => [r.high, r.limit, mainOf(r)]).filter(known));
    const y = scale(0, most, bottom, 16, 4, true);
    const [words, word] = tickText(y.ticks, row.first.unit);
    const svg = drawing(full, height, `${row.name} on each core`);
    svg.append(...y.ticks.flatMap((tick) => [
        line(left, y(tick), left + size * members.length, y(tick), "grid"),
        text(left - 6, y(tick) + 4, words(tick), "end")]));
    const step = Math.ceil(24 / size);
    members.forEach((cpu, i) => {
        const x = left + (i + 0.5) * size, result = row.where.get(String(cpu.number));
        const group = s("g", { onclick: () => choose(result), class: "cells" });
        group.append(...(known(mainOf(result)) ? coreBar(row, result, x, size, y, chosen)
            : [s("text", { x, y: bottom - 5, "text-anchor": "middle", class: "warn",
                           "data-tip": `${placeName(result)}: ${result.error}` }, "✕")]));
        svg.append(group, i % step === 0 ? text(x, bottom + 15, cpu.number) : "");
    });
    svg.append(line(left, bottom, left + size * members.length, bottom, "axis"),
        ...levels.flatMap((runs, i) => brackets(runs, left, size, height - 4 - 18 * i, false)));
    const outliers = good.filter((result) => known(result.outlier));
    return h("figure", { class: wide ? "wide" : null },
        h("figcaption", null, h("b", null, "Cores"),
            ` by CPU, ${axisWords(row.first.unit, word)}. Whiskers: 95 % interval. `,
            known(row.middle.limit) && legend("limit", "limit", "limit"),
            outliers.length > 0 && ` ▼ ${markWords("outlier", outliers)}`),
        h("div", { class: "scroll" }, svg));
}

const markWords = (word, results) => `${word}${results.length > 1 ? "s" : ""}: ` +
    results.slice(0, 4).map((result) => `${placeName(result)}, ${result.outlier}`).join("; ") +
    (results.length > 4 ? `; ${results.length - 4} more` : "");

// --- Pairs: a map -----------------------------------------------------------------------------

function colourAt(share) {
    const place = Math.min(Math.max(share, 0), 1) * (COLOURS.length - 1);
    const i = Math.min(Math.floor(place), COLOURS.length - 2);
    return COLOURS[i].map((from, k) => Math.round(from + (COLOURS[i + 1][k] - from) * (place - i)));
}

const css = (colour) => `rgb(${colour.join(",")})`;
const isBright = ([r, g, b]) => 0.3 * r + 0.59 * g + 0.11 * b > 125;

// Each cell as a rectangle with its value.
function mapCells(map, left, top, size) {
    return map.each((i, j, result, value) => {
        const x = left + j * size, y = top + i * size;
        const frame = { x: x + 0.5, y: y + 0.5, width: size - 1, height: size - 1 };
        if (!known(value)) {
            return [s("rect", { ...frame, class: "nothing" }),
                known(result?.error) ? text(x + size / 2, y + size / 2 + 4, "✕", "middle", "warn")
                    : ""];
        }
        const colour = colourAt(map.share(value));
        const words = text(x + size / 2, y + size / 2 + 4,
                           map.words(value) + (result.disturbed ? "?" : ""));
        words.setAttribute("style", `fill:${isBright(colour) ? "#000" : "#fff"};` +
            `font-size:${Math.min(12, size / 3)}px`);
        return [s("rect", { ...frame, style: `fill:${css(colour)}` }), words];
    }).flat();
}

// All cells as one picture, a pixel each, which the browser enlarges without smoothing.
function mapPicture(map, left, top, size) {
    const n = map.members.length, canvas = h("canvas", { width: n, height: n });
    const context = canvas.getContext("2d"), pixels = context.createImageData(n, n);
    map.each((i, j, result, value) => {
        if (known(value)) {
            pixels.data.set([...colourAt(map.share(value)), 255], 4 * (i * n + j));
        }
    });
    context.putImageData(pixels, 0, 0);
    return [s("image", { x: left, y: top, width: n * size, height: n * size,
        href: canvas.toDataURL(), style: "image-rendering:pixelated" })];
}

function mapOf(row, byRatio) {
    const members = row.cpus;
    const valueOf = (result) => byRatio ? result?.ratio : result && mainOf(result);
    const values = row.places.map(valueOf).filter(known);
    let low = Infinity, high = -Infinity; // a spread of 262,144 arguments is too much for a call
    for (const value of values) {
        low = Math.min(low, value);
        high = Math.max(high, value);
    }
    if (high < low * MAP_SPAN_MIN) {
        const middle = (low + high) / 2;
        [low, high] = [middle / Math.sqrt(MAP_SPAN_MIN), middle * Math.sqrt(MAP_SPAN_MIN)];
    }
    const log = low > 0 && high / low > 20, f = log ? Math.log : (value) => value;
    const [unit, word] = byRatio ? [1, "times the limit"] : scaleOf(low, row.first.unit);
    return {
        members, low, high, log, word,
        words: (value) => value / unit < 1000 ? (value / unit).toPrecision(3)
            : (value / unit).toFixed(0),
        share: (value) => (f(value) - f(low)) / (f(high) - f(low)),
        at: (i, j) => row.where.get(`${members[i].number} → ${members[j].number}`),
        each(visit) {
            return members.flatMap((_, i) => members.map((_, j) => {
                const result = this.at(i, j);
                return visit(i, j, result, valueOf(result));
            }));
        },
    };
}

function mapScale(map, x, y) {
    const steps = 40, wide = 5;
    const parts = Array.from({ length: steps }, (_, i) =>
        s("rect", { x: x + i * wide, y, height: 10, width: wide + 0.5,
                    style: `fill:${css(colourAt(i / (steps - 1)))}` }));
    return [...parts, text(x, y + 23, map.words(map.low), "start"),
        text(x + steps * wide, y + 23, map.words(map.high), "end"),
        text(x + steps * wide / 2, y + 23, `${map.word}${map.log ? ", logarithmic" : ""}`)];
}

// Where a group ends there is a line through the map, the thicker the more is between.
function mapLines(levels, left, top, size, n) {
    return levels.flatMap((runs, depth) => runs.slice(1).flatMap((run) => {
        const width = Math.max(levels.length - depth, 1) * (size < 8 ? 0.7 : 1.4);
        const place = run.start * size;
        return s("path", { class: "split", "stroke-width": 2 * width,
            d: `M${left + place} ${top}v${n * size}M${left} ${top + place}h${n * size}` });
    }));
}

function mapFigure(row, chosen, width, choose, kind) {
    if (row.first.kind !== "pair" || row.places.length < 2) {
        return null;
    }
    const map = mapOf(row, kind.ratio), n = map.members.length, levels = levelsOf(map.members);
    const edge = 40 + 18 * levels.length, room = width - edge - 4;
    const size = n <= CELLS_WITH_TEXT ? Math.min(Math.max(room / n, 32), 58)
        : Math.min(Math.max(room / n, 1.5), 18, 1000 / n);
    const full = n * size, step = Math.ceil(28 / size);
    const svg = drawing(edge + Math.max(full + 4, 212), edge + full + 44,
                        `${row.name} between all CPUs`);
    const draw = n <= CELLS_WITH_TEXT ? mapCells : mapPicture;
    const hit = (event) => { // the cell under the pointer
        const box = svg.getBoundingClientRect(), zoom = box.width / svg.viewBox.baseVal.width;
        const i = Math.floor(((event.clientY - box.top) / zoom - edge) / size);
        const j = Math.floor(((event.clientX - box.left) / zoom - edge) / size);
        return i >= 0 && j >= 0 && i < n && j < n ? map.at(i, j) : undefined;
    };
    const tipAt = (event) => {
        const result = hit(event);
        return !result ? "" : `${placeName(result)}: ` + (known(result.error) ? result.error
            : amount(mainOf(result), result.unit)) + (known(result.ratio)
            ? `, ${ratioText(result.ratio)} × limit` : "") +
            marksOf(result).map(([, word, why]) => `\n${word}: ${why}`).join("");
    };
    const onclick = (event) => hit(event) && choose(hit(event));
    svg.append(s("g", { class: "cells", tipAt, onclick }, draw(map, edge, edge, size)));
    map.members.forEach((cpu, i) => i % step === 0 && svg.append(
        text(edge + (i + 0.5) * size, edge - 6, cpu.number),
        text(edge - 6, edge + (i + 0.5) * size + 4, cpu.number, "end")));
    svg.append(...mapLines(levels, edge, edge, size, n), ...levels.flatMap((runs, depth) =>
        [false, true].flatMap((turned) => brackets(runs, edge, size, 20 + 18 * depth, turned))),
        ...mapScale(map, edge, edge + full + 12));
    const [i, j] = [chosen.core, chosen.core2].map((number) =>
        map.members.findIndex((cpu) => cpu.number === number));
    svg.append(s("rect", { x: edge + j * size, y: edge + i * size, width: size, height: size,
                           class: "chosen" }));
    const pick = h("select", { "aria-label": "what the map shows", onchange: (event) => {
        kind.ratio = event.target.value === "ratio";
        choose(chosen);
    } }, ["value", "ratio"].map((word) => h("option", { value: word,
        selected: kind.ratio === (word === "ratio") },
        word === "value" ? axisWords(row.first.unit, "value") : "ratio to the limit")));
    return h("figure", { class: "wide" }, h("figcaption", null, h("b", null, "Pairs"),
        " from the CPU on the left to the one above, in the order of the hardware. ",
        row.places.some((result) => known(result.ratio)) ? pick : ""),
        h("div", { class: "scroll", tabindex: 0 }, svg));
}
