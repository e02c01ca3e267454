/* global Redoc */
const text = (family) => ({ fontFamily: family });
const sans = text('system-ui, sans-serif');

Redoc.init(
  JSON.parse(document.getElementById('openapi').textContent),
  {
    downloadUrls: [{ title: 'openapi.json', url: 'openapi.json' }],
    expandResponses: '200,201,202',
    hideSchemaTitles: true,
    nativeScrollbars: true,
    requiredPropsFirst: true,
    theme: { typography: { ...sans, headings: sans, code: text('ui-monospace, monospace') } },
  },
  document.getElementById('reference'),
);
