// A chart of the page as SVG that needs no style sheet.

/** What the style sheet of the page decides of a shape or a text. */
const PROPERTIES = [
  'fill',
  'fill-opacity',
  'stroke',
  'stroke-width',
  'stroke-dasharray',
  'stroke-opacity',
  'stroke-linejoin',
  'opacity',
  'visibility',
] as const
const TEXT_PROPERTIES = ['font-size', 'font-family', 'font-weight', 'text-anchor'] as const

/** Return the size of a chart in its own units. */
export function chartSize(chart: SVGSVGElement): { width: number; height: number } {
  const { width, height } = chart.viewBox.baseVal
  if (width && height) return { width, height }
  const box = chart.getBoundingClientRect()
  return { width: box.width, height: box.height }
}

/** Return a chart as markup with its styles as attributes. */
export function chartMarkup(chart: SVGSVGElement): string {
  const copy = chart.cloneNode(true) as SVGSVGElement
  const copies = [...copy.querySelectorAll<SVGElement>('*')]
  ;[...chart.querySelectorAll<SVGElement>('*')].forEach((element, k) => {
    const style = getComputedStyle(element)
    const target = copies[k]!
    const properties = element.matches('text, tspan') ? [...PROPERTIES, ...TEXT_PROPERTIES] : PROPERTIES
    for (const property of properties) target.setAttribute(property, style.getPropertyValue(property))
    for (const { name } of [...target.attributes])
      if (
        name === 'class' ||
        name === 'style' ||
        name === 'tabindex' ||
        name.startsWith('data-') ||
        name.startsWith('aria-') ||
        name.startsWith('on')
      )
        target.removeAttribute(name)
  })
  const { width, height } = chartSize(chart)
  copies.forEach((element) => element.matches('title, desc, foreignObject') && element.remove())
  const inner = new XMLSerializer().serializeToString(copy)
  const content = inner.slice(inner.indexOf('>') + 1, inner.lastIndexOf('</svg>')).replaceAll('<!---->', '')
  return `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" overflow="visible">${content}</svg>`
}
