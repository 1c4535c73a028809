// uPlot, loaded when the first chart is shown, in the page's own colours.
import { exact } from "./format.js";
import { clock, count, day, ZONE } from "./shared/format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./shared/ui.js";
import { t } from "./shared/words.js";

const HEIGHT_PIXELS = 240;
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

let library = null;

function useLibrary() {
  const [loaded, setLoaded] = useState(null);
  useEffect(() => {
    library ??= import("./shared/vendor/uplot.js").then((module) => module.default);
    let here = true;
    library.then(
      (found) => here && setLoaded(() => found),
      () => {
        library = null;
      },
    );
    return () => {
      here = false;
    };
  }, []);
  return loaded;
}

/** Light or dark: counts up with every change, because a canvas keeps the colours it was drawn with. */
function useTheme() {
  const [round, setRound] = useState(0);
  useEffect(() => {
    const changed = () => setRound((last) => last + 1);
    document.addEventListener("caixin:theme", changed);
    return () => document.removeEventListener("caixin:theme", changed);
  }, []);
  return round;
}

/**
 * Draw bars over time, one upon the other, and a limit above them.
 *
 * `times`: seconds since the epoch, ascending; `series`: [{name, colour, values}]; `limit`: a height or null;
 * `days`: each time is a whole day; `width`: how long each time lasts, in seconds. The table of the same
 * figures, for those who cannot see them, is the caller's.
 */
export function Chart({ times, series, limit = null, limitName = null, days = false, width, label }) {
  const place = useRef(null);
  const plot = useRef(null);
  const uPlot = useLibrary();
  const theme = useTheme();
  const shape = JSON.stringify([series.map(({ name }) => name), limit !== null, days, label]);
  const data = stacked(times, series, limit);
  const latest = useRef(data);
  latest.current = { data, series, width };

  useLayoutEffect(() => {
    if (!uPlot) return undefined;
    const drawn = new uPlot(
      options(uPlot, series, limitName, limit, days, place.current.clientWidth, latest),
      data,
      place.current,
    );
    plot.current = drawn;
    const fit = new ResizeObserver(() =>
      drawn.setSize({ width: place.current.clientWidth, height: HEIGHT_PIXELS }),
    );
    fit.observe(place.current);
    return () => {
      fit.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [uPlot, shape, theme]);

  useLayoutEffect(() => {
    plot.current?.setData(data);
  });

  return html`<div class="chart" role="img" aria-label=${label} ref=${place}></div>`;
}

/** Each series on the shoulders of those after it, so that the first one is on top and drawn first. */
function stacked(times, series, limit) {
  const sums = new Array(times.length).fill(0);
  const layers = [...series].reverse().map(({ values }) => values.map((value, i) => (sums[i] += value)));
  return [times, ...layers.reverse(), ...(limit === null ? [] : [times.map(() => limit)])];
}

/** As many of the times as there is room for, the last one among them. */
function everyNth(times, room) {
  const step = Math.max(1, Math.ceil(times.length / Math.max(1, room)));
  return times.filter((_, index) => (times.length - 1 - index) % step === 0);
}

function options(uPlot, series, limitName, limit, days, width, latest) {
  const ink = token("soft");
  const grid = { stroke: token("line"), width: 1 };
  const font = `${token("size-tiny")} ${token("font")}`;
  const axis = { stroke: ink, font, ticks: { show: false } };
  // A bar as wide as its time lasts, with a hair between two.
  const bars = (plot, index, from, to) => {
    const span = plot.valToPos(latest.current.width, "x", true) - plot.valToPos(0, "x", true);
    return uPlot.paths.bars({
      size: [0.92, Math.max(1, span * 0.92), 1],
      align: days ? 0 : 1,
      radius: days ? 0.15 : 0,
    })(plot, index, from, to);
  };
  return {
    width: Math.max(width, 100),
    height: HEIGHT_PIXELS,
    padding: [12, 20, 0, 0],
    legend: {
      live: true,
      markers: { width: 0, fill: (plot, index) => plot.series[index]._fill ?? plot.series[index].fill?.() },
    },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: {
        time: true,
        range: (_, from, to) => {
          const { width: each } = latest.current;
          return days ? [from - each / 2, to + each / 2] : [from, Math.max(to + each, from + 10 * each)];
        },
      },
      y: { range: (_plot, _low, high) => [0, Math.max(high * 1.08, 1)] },
    },
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), ZONE),
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 72,
        incrs: [60, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 7 * 86400, 28 * 86400],
        // Days have their names under their middles.
        ...(days && { splits: (plot) => everyNth(latest.current.data[0], plot.width / 64) }),
        values: (plot, at) =>
          at.map((one) =>
            days || plot.scales.x.max - plot.scales.x.min > 2 * 86400 ? day(one).slice(5) : clock(one),
          ),
      },
      {
        ...axis,
        grid,
        size: 56,
        values: (_, at) => at.map((one) => (Number.isInteger(one) ? count(one) : "")),
      },
    ],
    series: [
      {
        label: t("chart.time"),
        value: (_, at) => (at === null ? "–" : days ? day(at) : exact(at).slice(0, 16)),
      },
      ...series.map(({ name, colour: named }, index) => ({
        label: name,
        fill: token(named),
        stroke: token(named),
        width: 0,
        paths: bars,
        points: { show: false },
        // The series' own figure, not its height in the stack.
        value: (_plot, _height, _index, at) =>
          at === null || at === undefined ? "–" : count(latest.current.series[index]?.values[at] ?? 0),
      })),
      ...(limit === null
        ? []
        : [
            {
              label: limitName,
              stroke: ink,
              width: 1.5,
              dash: [6, 4],
              points: { show: false },
              value: (_, height) =>
                height === null || height === undefined ? "–" : count(Math.round(height)),
            },
          ]),
    ],
  };
}
