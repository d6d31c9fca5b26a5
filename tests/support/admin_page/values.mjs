// What the page's own modules make of values, asked in the browser that they are for.
export function valuesOn(page) {
  return page.evaluate(async () => {
    const words = await import('/admin/page/words.js');
    const { roundUp } = await import('/admin/page/plots.js');
    const { pictureOf } = await import('/admin/page/picture.js');
    const { troublesOf } = await import('/admin/page/troubles.js');
    const of = (render, values) => values.map(render);
    return {
      numbers: of(words.number, [0, 0.0312, 1.25, 12, 99.96, 1234.5, null, NaN, '7']),
      lengths: of(words.milliseconds, [0, 0.42, 18.25, 999, 1500, null]),
      spans: of(words.span, [-3, 0.4, 59, 60, 95, 600, 3599, 3600, 86399, 90000]),
      ages: of(words.age, [-20, 0.3, 5]),
      counts: [words.count(1, 'call'), words.count(0, 'call'), words.count(2, 'thing is', 'things are')],
      tops: of(roundUp, [0, -1, 0.03, 1, 1.01, 7, 99, 101, 1e9]),
      nothing: troublesOf(pictureOf({})),
      strange: troublesOf(pictureOf({
        services: [null, 7, { name: 'hr', targets: 'none', now: { requests_per_s: 1, errors_per_s: 0.06 } }],
        hosts: {}, limits: [{ rates: 1 }], refusals: [{}], redis: null,
      })).map(({ text }) => text),
      rare: troublesOf(pictureOf({
        redis: { state: 'connected' },
        services: [{ name: 'hr', now: { requests_per_s: 0.02, errors_per_s: 0.02 } }],
      })).map(({ level, text }) => [level, text]),
      refusing: troublesOf(pictureOf({
        redis: { state: 'connected' },
        services: [{ name: 'hr', breaker: { state: 'DISABLED' }, now: { requests_per_s: 9, errors_per_s: 9 } }],
      })).map(({ level, text }) => [level, text]),
    };
  });
}
