// Draws the charts of the report. Each is an entry of the data block below, drawn when it comes into view into the box
// that carries its number.
(function () {
  'use strict';
  const charts = JSON.parse(document.getElementById('charts').textContent);
  const dark = window.matchMedia('(prefers-color-scheme: dark)').matches;
  const css = getComputedStyle(document.documentElement);
  const color = (name) => css.getPropertyValue(name).trim();
  Chart.defaults.color = color('--fg');
  Chart.defaults.borderColor = color('--line');
  Chart.defaults.font.family = 'system-ui, sans-serif';
  Chart.defaults.animation = false;
  Chart.defaults.maintainAspectRatio = false;

  function scaled(v, steps) {
    for (const [limit, by, unit] of steps) {
      if (Math.abs(v) < limit) return round(v / by) + unit;
    }
    return String(v);
  }
  function round(v) {
    return v === 0 ? '0' : Math.abs(v) >= 100 ? v.toFixed(0) : Math.abs(v) >= 10 ? v.toFixed(1) : v.toFixed(2);
  }
  const units = {
    ns: (v) => scaled(v, [[1e3, 1, ' ns'], [1e6, 1e3, ' µs'], [1e9, 1e6, ' ms'], [Infinity, 1e9, ' s']]),
    bytes: (v) => scaled(v, [[1e3, 1, ' B'], [1e6, 1e3, ' kB'], [1e9, 1e6, ' MB'], [Infinity, 1e9, ' GB']]),
    rate: (v) => scaled(v, [[1e3, 1, '/s'], [1e6, 1e3, 'k/s'], [Infinity, 1e6, 'M/s']]),
    byterate: (v) => scaled(v, [[1e6, 1e3, ' kB/s'], [1e9, 1e6, ' MB/s'], [Infinity, 1e9, ' GB/s']]),
    share: (v) => (100 * v).toFixed(0) + ' %',
    times: (v) => round(v) + '×',
    count: (v) => round(v),
  };

  // ouro's faces are blue to green, C is grey-black, package net grey, the others warm.
  const warm = ['#d97706', '#be185d', '#9333ea', '#b45309', '#dc2626', '#a16207', '#e879f9', '#f97316'];
  const cool = ['#2563eb', '#0891b2', '#059669', '#4f46e5', '#0ea5e9', '#14b8a6', '#65a30d', '#6366f1'];
  const given = {};
  let warmNext = 0, coolNext = 0;
  function colorOf(name) {
    if (name === 'std') return dark ? '#b6c0ca' : '#6b7580';
    if (name === 'std-again') return dark ? '#8b96a1' : '#a5aeb7';
    if (name.startsWith('c-')) return dark ? '#f1f5f9' : '#111827';
    if (!given[name]) {
      const ours = /^(ouro|pattern|fasthttp-serve)/.test(name);
      given[name] = ours ? cool[coolNext++ % cool.length] : warm[warmNext++ % warm.length];
    }
    return given[name];
  }
  const layerColors = ['#334155', '#64748b', '#d97706', '#be185d', '#2563eb', '#9333ea', '#0891b2', '#059669'];

  // whiskers draws the smallest and the largest value over each bar.
  const whiskers = (spec) => ({
    id: 'whiskers',
    afterDatasetsDraw(chart) {
      const ctx = chart.ctx, x = chart.scales.x;
      ctx.save();
      ctx.strokeStyle = color('--fg');
      ctx.lineWidth = 1.25;
      chart.getDatasetMeta(0).data.forEach((bar, i) => {
        const at = (v) => Math.min(x.getPixelForValue(v), x.right);
        const a = at(spec.min[i]), b = at(spec.max[i]), h = 4;
        if (a >= x.right) return;
        ctx.beginPath();
        ctx.moveTo(a, bar.y); ctx.lineTo(b, bar.y);
        ctx.moveTo(a, bar.y - h); ctx.lineTo(a, bar.y + h);
        ctx.moveTo(b, bar.y - h); ctx.lineTo(b, bar.y + h);
        ctx.stroke();
      });
      ctx.restore();
    },
  });

  // limit keeps one bar that is far longer than the others from hiding what those differ by: it is cut, and says so.
  function limit(values, max) {
    const sorted = values.slice().sort((a, b) => a - b), middle = sorted[Math.floor((sorted.length - 1) / 2)];
    return middle > 0 && Math.max(...values) > 6 * middle ? 3 * middle : Math.max(...max) * 1.02;
  }
  const cut = (values, format) => ({
    id: 'cut',
    afterDatasetsDraw(chart) {
      const ctx = chart.ctx, x = chart.scales.x;
      ctx.save();
      ctx.font = '600 11px system-ui, sans-serif';
      ctx.textAlign = 'right';
      ctx.textBaseline = 'middle';
      values.forEach((v, i) => {
        if (v <= x.max) return;
        const text = format(v) + ' →', y = chart.getDatasetMeta(0).data[i].y, w = ctx.measureText(text).width;
        ctx.fillStyle = color('--bg');
        ctx.fillRect(x.right - w - 10, y - 8, w + 6, 16);
        ctx.fillStyle = color('--fg');
        ctx.fillText(text, x.right - 6, y);
      });
      ctx.restore();
    },
  });

  function bars(c) {
    const f = units[c.unit];
    return {
      type: 'bar',
      data: { labels: c.labels, datasets: [{ data: c.values, backgroundColor: c.labels.map(colorOf), barPercentage: 0.8 }] },
      options: {
        indexAxis: 'y',
        scales: { x: { min: 0, max: limit(c.values, c.max), ticks: { callback: f, maxTicksLimit: 6 } }, y: { ticks: { autoSkip: false }, grid: { display: false } } },
        plugins: {
          legend: { display: false },
          tooltip: { callbacks: { label: (t) => f(t.raw) + ' (' + f(c.min[t.dataIndex]) + ' – ' + f(c.max[t.dataIndex]) + ')' } },
        },
      },
      plugins: [whiskers(c), cut(c.values, f)],
    };
  }
  function lines(c) {
    const f = units[c.unit];
    return {
      type: 'line',
      data: {
        labels: c.labels,
        datasets: c.series.map((s) => ({ label: s.name, data: s.values, borderColor: colorOf(s.name), backgroundColor: colorOf(s.name), borderWidth: 2, pointRadius: 2.5, tension: 0 })),
      },
      options: {
        interaction: { mode: 'index', intersect: false },
        scales: {
          x: { title: { display: true, text: c.xTitle }, ticks: { autoSkip: true, maxRotation: 60 } },
          y: { type: c.log ? 'logarithmic' : 'linear', beginAtZero: !c.log, ticks: { callback: (v) => (!c.log || /^[125]/.test(String(Number(v).toExponential())) ? f(v) : null), maxTicksLimit: 9 } },
        },
        plugins: { legend: { position: 'bottom', labels: { boxWidth: 12 } }, tooltip: { callbacks: { label: (t) => t.dataset.label + ' ' + f(t.raw) } } },
      },
    };
  }
  function stacked(c) {
    const f = units[c.unit], sums = c.labels.map((_, i) => c.series.reduce((t, s) => t + s.values[i], 0));
    return {
      type: 'bar',
      data: { labels: c.labels, datasets: c.series.map((s, i) => ({ label: s.name, data: s.values, backgroundColor: layerColors[i % layerColors.length], barPercentage: 0.8 })) },
      options: {
        indexAxis: 'y',
        scales: { x: { stacked: true, min: 0, max: limit(sums, sums), ticks: { callback: f, maxTicksLimit: 6 } }, y: { stacked: true, ticks: { autoSkip: false }, grid: { display: false } } },
        plugins: { legend: { position: 'bottom', labels: { boxWidth: 12 } }, tooltip: { callbacks: { label: (t) => t.dataset.label + ' ' + f(t.raw) } } },
      },
      plugins: [cut(sums, f)],
    };
  }
  const kinds = { bars, lines, stacked };

  function draw(box) {
    const c = charts[Number(box.dataset.chart)];
    const canvas = document.createElement('canvas');
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', c.title);
    box.append(canvas);
    new Chart(canvas, kinds[c.kind](c));
    box.dataset.drawn = 'yes';
  }
  // Colours are given in the order of the first appearance, whatever is scrolled to first.
  charts.forEach((c) => (c.kind === 'bars' ? c.labels : c.kind === 'lines' ? c.series.map((s) => s.name) : []).forEach(colorOf));
  const all = document.querySelectorAll('.box');
  const seen = new IntersectionObserver((entries) => entries.forEach((e) => {
    if (e.isIntersecting) { seen.unobserve(e.target); draw(e.target); }
  }), { rootMargin: '600px' });
  all.forEach((b) => seen.observe(b));
  window.addEventListener('beforeprint', () => all.forEach((b) => { if (!b.dataset.drawn) draw(b); }));
})();
