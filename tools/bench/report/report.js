// SPDX-License-Identifier: MIT
// Draws the report from the document in the page (schema rt-bench/1).
//
// Figures are shown as they were measured. A row that ran in many places has one that is shown, at
// first the middle one.

const TABLE_LINES_MAX = 2000;     // a browser stays quick; the rest is in the maps
const COLUMN_MIN = 420, GAP = 26; // of the figures of a row, pixels
const PRINT_WIDTH = 690;          // of A4 or Letter, upright, within margins
const BAR_MAX = 2;                // ratio at which the small bars of the table end
const PLACES_IN_FULL = 2;         // a row of the table each, where there are not more

let cpus = [];      // of the machine, in hwloc's order
let rows = [];      // see groupResults()
const redraws = []; // called when the width has changed

// --- Rows -------------------------------------------------------------------------------------

function groupResults(results) {
    const byName = new Map();
    for (const result of results) {
        if (!byName.has(result.name)) {
            byName.set(result.name, { name: result.name, first: result, places: [] });
        }
        byName.get(result.name).places.push(result);
    }
    for (const row of byName.values()) {
        const good = row.places.filter((result) => known(mainOf(result)));
        good.sort((a, b) => mainOf(a) - mainOf(b));
        row.middle = good[Math.floor((good.length - 1) / 2)] ?? row.first;
        row.where = new Map(row.places.map((result) => [placeOf(result), result]));
        const used = new Set(row.places.flatMap((result) => [result.core, result.core2]));
        row.cpus = cpus.filter((cpu) => used.has(cpu.number));
    }
    return [...byName.values()];
}

// The marks of one place in full; those of many as counts, named where they are few.
function markNodes(places) {
    const byKind = new Map();
    for (const result of places) {
        for (const [kind, word, why] of marksOf(result)) {
            byKind.set(kind, [...(byKind.get(kind) ?? []), { result, word, why }]);
        }
    }
    return [...byKind].map(([kind, found]) => {
        const all = places.length;
        const named = found.length <= 3
            ? found.map((one) => placeName(one.result)).join(", ") : `${found.length} of ${all}`;
        const words = all > 1 ? `${found[0].word}: ${named}`
            : kind === "error" ? `failed: ${found[0].why}` : found[0].word;
        const why = found.slice(0, 8).map((one) => `${placeName(one.result)}: ${one.why}`);
        return h("span", { class: `mark ${kind}`, "data-tip": why.join("\n") }, words);
    });
}

// --- Machine ----------------------------------------------------------------------------------

function showMachine(machine, settings) {
    const unknown = (value) => known(value) && value !== "" ? String(value) : "not known";
    const many = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
    const where = { true: "virtual machine", false: "no hypervisor" }[machine.hypervisor]
        ?? "hypervisor not known";
    const nodes = new Set(cpus.map((cpu) => cpu.node)).size;
    const facts = {
        "Processor": `${unknown(machine.processor)} (${where})`,
        "CPUs": `${cpus.length} on ${many(machine.cores, "core")}, ` +
                `${many(machine.packages, "package")}, ${many(nodes, "memory node")}`,
        "Kernel": unknown(machine.kernel),
        "Engine": unknown(machine.engine),
        "Ring features": machine.features || "none",
        "Build": `${unknown(machine.version)}, ${unknown(machine.build)}`,
        "Hardware counters": known(machine.hardware_counters)
            ? `none: ${machine.hardware_counters}` : "yes",
        "Clock": `${amount(machine.clock_ns, "ns")} per measurement, subtracted`,
        "Run": `${settings.seconds} s a row${settings.quick ? ", quick" : ""}` +
               `${settings.at_once ? ", all cores at once" : ""}, seed ${settings.seed}`,
        "Command": settings.command,
    };
    const date = String(machine.date).replace("T", " ").replace("Z", " UTC");
    document.title = `rt-bench: ${unknown(machine.processor)}, ${date}`;
    at("subtitle").textContent = `${unknown(machine.processor)} · ${date}`;
    at("machine").append(h("dl", { class: "facts" }, Object.entries(facts).map(
        ([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value)))));
    if (machine.warnings.length > 0) {
        at("machine").append(h("div", { class: "warnings" }, h("b", null, "Warnings"),
            h("ul", null, machine.warnings.map((warning) => h("li", null, warning)))));
    }
}

// --- Table ------------------------------------------------------------------------------------

function spread(value, mad, unit) {
    const [middle, around, word] = alike([value, mad], unit);
    return `${middle} ± ${around} ${word}`;
}

function figureCell(value, mad, low, high, unit, more = "") {
    if (!known(value)) {
        return ["–", more && h("small", null, more)];
    }
    const [, from, to] = alike([value, low, high], unit);
    return [spread(value, mad, unit), h("small", null, `${range(from, to)} ${more}`)];
}

function ratioCell(result) {
    if (!known(result.ratio)) {
        return "–";
    }
    const width = 90;
    const x = (ratio) => Math.min(ratio, BAR_MAX) / BAR_MAX * width;
    const style = result.over_goal ? "bad" : "run";
    const svg = drawing(width + 8, 12, `ratio ${ratioText(result.ratio)}, goal ${result.goal}`);
    svg.append(s("rect", { x: 0, y: 2, height: 8, width: x(result.ratio), class: `bar ${style}` }),
        line(x(result.ratio_low), 6, x(result.ratio_high), 6, "whisker"),
        line(x(1), 2, x(1), 10, "one"), line(x(result.goal), 0, x(result.goal), 12, "goal"));
    if (result.ratio > BAR_MAX) { // an arrow: the bar goes on
        svg.append(s("path", { d: `M${width} 0l7 6l-7 6z`, class: style }));
    }
    return [svg, ratioText(result.ratio), " ",
        h("span", { class: "soft" }, ratioRange(result))];
}

function columnsOf() {
    const peers = [...new Set(rows.flatMap((row) => row.places.flatMap(
        (result) => (result.peers ?? []).map((peer) => peer.name))))];
    const find = (result, name) => result.peers?.find((peer) => peer.name === name);
    const count = (key) => ({ sort: (l) => l.result[key], cell: (l) => counted(l.result[key]) });
    return [
        { title: "Row", sort: (l) => l.row.name },
        { title: "CPU", sort: (l) => l.result.core, cell: (l) => [placeOf(l.result),
            l.places.length > 1 && h("small", null, `middle of ${l.places.length}`)] },
        { title: "shardrt", sort: (l) => l.result.value, cell: ({ result: r }) =>
            figureCell(r.value, r.mad, r.low, r.high, r.unit) },
        { title: "Limit", sort: (l) => l.result.limit, cell: ({ result: r }) =>
            figureCell(r.limit, r.limit_mad, r.limit_low, r.limit_high, r.unit,
                       known(r.bare) ? `bare ${amount(r.bare, r.unit)}` : "") },
        { title: "Ratio", sort: (l) => l.result.ratio, cell: (l) => ratioCell(l.result),
          style: "text" },
        { title: "Marks", sort: (l) => l.places.filter((r) => marksOf(r).length > 0).length || null,
          cell: (l) => markNodes(l.places), style: "marks" },
        { title: "CPU / unit", sort: (l) => l.result.cpu_ns, cell: ({ result: r }) =>
            [amount(r.cpu_ns, "ns"),
             known(r.limit_cpu_ns) && h("small", null, `limit ${amount(r.limit_cpu_ns, "ns")}`)] },
        { title: "Allocs / unit", ...count("allocations") },
        { title: "Enters / unit", ...count("enters") },
        ...peers.map((name) => ({ title: name, sort: (l) => find(l.result, name)?.value,
            cell: (l) => {
                const peer = find(l.result, name);
                return !peer ? "–" : [spread(peer.value, peer.mad, l.result.unit),
                    known(peer.ratio) && h("small", null, `${ratioText(peer.ratio)} × limit`)];
            } })),
    ];
}

function tableLine(columns, entry) {
    const { row, result } = entry;
    return h("tr", null,
        h("th", { scope: "row" }, h("a", { href: `#row-${row.name}` }, row.name),
            h("small", { "data-tip": row.first.summary }, row.first.summary)),
        columns.slice(1).map((column) => h("td", { class: column.style }, column.cell(entry))));
}

function compare(a, b) { // unknown values last, whichever way
    if (!known(a) || !known(b)) {
        return known(a) ? -1 : known(b) ? 1 : 0;
    }
    return typeof a === "string" ? a.localeCompare(b) : a - b;
}

function sorted(entries, column, direction) {
    return column === null ? entries : [...entries].sort((a, b) => {
        const one = column.sort(a), other = column.sort(b);
        return compare(one, other) * (known(one) && known(other) ? direction : 1);
    });
}

function showTable() {
    const columns = columnsOf();
    const inFull = (row) => row.places.map((result) => ({ row, result, places: [result] }));
    const long = rows.flatMap(inFull);
    const short = rows.flatMap((row) => row.places.length <= PLACES_IN_FULL ? inFull(row)
        : { row, result: row.middle, places: row.places });
    const body = h("tbody"), note = h("p", { class: "soft" });
    let entries = short, column = null, direction = 1;

    function fill() {
        const shown = sorted(entries, column, direction).slice(0, TABLE_LINES_MAX);
        body.replaceChildren(...shown.map((entry) => tableLine(columns, entry)));
        note.textContent = shown.length === entries.length ? ""
            : `${shown.length} of ${entries.length} lines; the rest is in the maps below.`;
    }
    const heads = columns.map((one) => h("th", { scope: "col", class: one.style === "marks"
        ? "text" : one.style }, h("button", { type: "button", onclick: () => {
        [column, direction] = column !== one ? [one, 1] : direction === 1 ? [one, -1] : [null, 1];
        heads.forEach((head, i) => head.setAttribute("aria-sort", columns[i] !== column ? "none"
            : direction === 1 ? "ascending" : "descending"));
        fill();
    } }, one.title)));
    const choice = h("select", { onchange: (event) => {
        entries = event.target.value === "long" ? long : short;
        fill();
    } }, h("option", { value: "short" }, "one line per row: the middle place"),
        h("option", { value: "long" }, `every core and pair: ${long.length} lines`));
    at("summary").append(
        h("p", { class: "soft" }, "Bar: ratio to the limit, with a notch at 1, which is as good " +
          "as the limit, and a line at the goal. A click on a heading sorts."),
        long.length > short.length
            ? h("div", { class: "tools" }, h("label", null, "Show ", choice)) : "",
        h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Summary table" },
            h("table", null, h("thead", null, h("tr", null, heads)), body)), note);
    fill();
}

// --- Sections of rows ---------------------------------------------------------------------------

function factsText(r) {
    const parts = [];
    const say = (name, value, mad, low, high) => {
        if (known(value)) {
            const [, from, to] = alike([value, low, high], r.unit);
            parts.push(`${name} ${spread(value, mad, r.unit)} ${range(from, to)}`);
        }
    };
    say("shardrt", r.value, r.mad, r.low, r.high);
    say("limit", r.limit, r.limit_mad, r.limit_low, r.limit_high);
    if (known(r.bare)) {
        parts.push(`bare ${amount(r.bare, r.unit)}`);
    }
    if (known(r.ratio)) {
        parts.push(`ratio ${ratioText(r.ratio)} ${ratioRange(r)}, goal ${r.goal}`);
    }
    parts.push(`${r.repetitions} repetitions of ${thousands(r.units)} units` +
        (r.repeated > 0 ? `, ${r.repeated} done again` : ""));
    for (const [key, word] of [["instructions", "instructions"], ["cycles", "cycles"]]) {
        if (known(r[key])) {
            parts.push(`${+r[key].toPrecision(4)} ${word} per unit`);
        }
    }
    return `${placeName(r)}: ${parts.join("; ")}`;
}

function placeChoice(row, chosen, choose) {
    if (row.places.length < 2) {
        return "";
    }
    const select = (label, numbers, current, change) => h("label", null, `${label} `,
        h("select", { onchange: (event) => change(Number(event.target.value)) },
            numbers.map((number) => h("option", { value: number, selected: number === current },
                                      number))));
    const order = cpus.map((cpu) => cpu.number);
    const inOrder = (numbers) => {
        const used = new Set(numbers);
        return order.filter((number) => used.has(number));
    };
    const from = inOrder(row.places.map((result) => result.core));
    const take = (test) => choose(row.places.find(test));
    if (row.first.kind === "core") {
        return select("CPU", from, chosen.core, (core) => take((r) => r.core === core));
    }
    const to = inOrder(row.places.filter((r) => r.core === chosen.core).map((r) => r.core2));
    return [select("From CPU", from, chosen.core, (core) => take((r) => r.core === core
                && (r.core2 === chosen.core2 || !row.where.has(`${core} → ${chosen.core2}`)))),
            select("to CPU", to, chosen.core2, (core2) => take((r) => r.core === chosen.core
                && r.core2 === core2))];
}

function showRow(row) {
    const box = h("section", { class: "row", id: `row-${row.name}`, "aria-label": row.name });
    const kind = { ratio: false };
    const timed = row.places.find((result) => result.latency);
    let chosen = row.middle;

    function choose(result) {
        const focus = [...box.querySelectorAll("select")].indexOf(document.activeElement);
        chosen = result;
        draw();
        box.querySelectorAll("select")[focus]?.focus();
    }
    function draw(inner = box.clientWidth - 2 * parseFloat(getComputedStyle(box).paddingLeft)) {
        const small = Number(lanesOf(chosen).length > 0) + Number(known(chosen.latency));
        const room = Math.max(Math.floor((inner + GAP) / (COLUMN_MIN + GAP)), 1);
        const columns = Math.min(room, Math.max(small + 1, 2));
        const width = Math.floor((inner - GAP * (columns - 1)) / columns);
        const few = row.cpus.length * 22 < width && small < columns;
        box.replaceChildren(
            h("h3", null, row.name, h("small", null, row.first.summary)),
            h("div", { class: "tools" }, placeChoice(row, chosen, choose), markNodes([chosen])),
            h("p", null, factsText(chosen)),
            ...[chosen.disturbance && h("p", { class: "soft" }, chosen.disturbance),
            !chosen.latency && timed && h("p", { class: "soft" },
                `Latency was not recorded here; it was for ${placeName(timed)}.`)].filter(Boolean),
            h("div", { class: "figures" },
                [distributionFigure(row, chosen, width), latencyFigure(row, chosen, width),
                 coresFigure(row, chosen, few ? width : inner, !few, choose),
                 mapFigure(row, chosen, inner, choose, kind)].filter(Boolean)));
        box.querySelector(".figures").style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
    }
    at("rows").append(box);
    draw();
    redraws.push(draw);
}

// --- The page ---------------------------------------------------------------------------------

// One small box beside the pointer, for whatever has data-tip or tipAt.
function showTips() {
    const tip = at("tip");
    document.addEventListener("pointermove", (event) => {
        const target = event.target.closest?.("[data-tip], .cells");
        const words = target?.tipAt?.(event) || event.target.dataset?.tip || target?.dataset.tip;
        tip.hidden = !words;
        if (words) {
            tip.textContent = words;
            const { width, height } = tip.getBoundingClientRect();
            const { clientX: x, clientY: y } = event;
            tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 6))}px`;
            tip.style.top = `${y + 18 + height < innerHeight ? y + 16 : y - height - 10}px`;
        }
    });
    document.addEventListener("pointerleave", () => { tip.hidden = true; });
}

// Figures are drawn for the width that there is, so that their text keeps its size.
function watchWidth() {
    let width = innerWidth;
    addEventListener("beforeprint", () => redraws.forEach((draw) => draw(PRINT_WIDTH)));
    addEventListener("afterprint", () => redraws.forEach((draw) => draw()));
    addEventListener("resize", () => requestAnimationFrame(() => {
        if (innerWidth !== width) {
            width = innerWidth;
            redraws.forEach((draw) => draw());
        }
    }));
}

function showProblem(words) {
    at("problem").textContent = words;
    at("problem").hidden = false;
}

function main() {
    const data = JSON.parse(at("document").textContent);
    if (data.schema !== "rt-bench/1") {
        throw new Error(`it has the schema ${data.schema}, and this page reads rt-bench/1`);
    }
    cpus = data.machine.cpus;
    rows = groupResults(data.results);
    showMachine(data.machine, data.settings);
    if (rows.length === 0) {
        showProblem("The document has no results.");
    }
    showTable();
    rows.forEach(showRow);
    showTips();
    watchWidth();
}

addEventListener("error", (event) => showProblem(`This page has a fault: ${event.message}`));
try {
    main();
} catch (error) {
    showProblem(`The document in this page cannot be shown: ${error.message}`);
    console.error(error);
}
