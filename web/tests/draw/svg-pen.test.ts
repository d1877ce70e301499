// The pen that writes SVG: shapes, texts, clips and patterns at the places where a canvas has them.
import { beforeAll, expect, test } from 'vitest'
import { hatchPattern } from '../../src/draw/patterns'
import { drawFigure, layoutFigure, wrapped } from '../../src/draw/figure'
import { LIGHT } from '../../src/draw/palette'
import { stripsPart } from '../../src/draw/strips-part'
import { drawStrips } from '../../src/draw/strips'
import { escaped, type Ruler, SvgPen } from '../../src/draw/svg-pen'
import { recordingPen, useFakeDocument } from '../fake-canvas'
import { makeScene, WINDOW } from '../scenes'

beforeAll(useFakeDocument)

/** Letters are 6 wide, and 3 of 10 of their height lie above the middle. */
const ruler = {
  font: '',
  textBaseline: 'alphabetic',
  measureText(text: string) {
    const ascent = this.textBaseline === 'alphabetic' ? 8 : 5
    return { width: 6 * text.length, actualBoundingBoxAscent: ascent } as TextMetrics
  },
} as Ruler
const written = (draw: (pen: CanvasRenderingContext2D) => void): string => {
  const pen = new SvgPen(ruler)
  draw(pen.vector)
  return pen.document(100, 50, 'title', 'description')
}

test('texts stay texts, at the alphabetic baseline, and are squeezed into a width', () => {
  const svg = written((pen) => {
    pen.font = '600 12px "A B", sans-serif'
    pen.textBaseline = 'middle'
    pen.textAlign = 'center'
    pen.fillStyle = '#123456'
    pen.fillText('a<b & "c"', 10, 20, 30)
    pen.fillText('', 1, 1)
    pen.fillText('gone', 1, 1, 0)
  })
  expect(svg).toContain('font-weight:600;font-size:12px;font-family:"A B", sans-serif')
  expect(svg).toContain('x="10" y="23" text-anchor="middle" textLength="30" lengthAdjust="spacingAndGlyphs"')
  expect(svg).toContain('fill="#123456">a&lt;b &amp; &quot;c&quot;</text>')
  expect(svg.match(/<text /g)).toHaveLength(1)
})

test('characters that XML cannot hold are replaced', () => {
  expect(escaped('a\u0000\ud800b\u{1f600}\ufffe')).toBe('a\ufffd\ufffdb\u{1f600}\ufffd')
})

test('moves and turns act on shapes, and restoring ends clips', () => {
  const svg = written((pen) => {
    pen.save()
    pen.translate(10, 5)
    pen.beginPath()
    pen.rect(0, 0, 20, 20)
    pen.clip()
    pen.fillStyle = 'rgba(1,2,3,0.5)'
    pen.fillRect(1, 1, 4, 2)
    pen.restore()
    pen.fillRect(0, 0, 1, 1)
    pen.save()
    pen.rotate(Math.PI / 2)
    pen.fillRect(1, 0, 2, 1)
    pen.restore()
  })
  expect(svg).toContain('<clipPath id="d0"><path d="M10 5h20v20h-20z"/></clipPath>')
  expect(svg).toMatch(
    /<g clip-path="url\(#d0\)">\s*<path d="M11 6h4v2h-4z" fill="rgb\(1,2,3\)" fill-opacity="0.5"\/>\s*<\/g>/,
  )
  expect(svg).toContain('<path d="M0 0h1v1h-1z" fill="#000000"/>')
  expect(svg).toContain('<path d="M0 1L0 3L-1 3L-1 1Z"')
})

test('cells of one colour are one path, equal neighbours one shape', () => {
  const block = { columns: 3, rows: 1, x: 2, y: 4, cell: 10, height: 8, pitch: 9 }
  const colours = Uint32Array.from([0xff0000ff, 0xff0000ff, 0])
  expect(written((pen) => (pen as unknown as SvgPen).drawCells({ ...block, colours, gap: null }))).toContain(
    '<path fill="#ff0000" d="M2 4h20v8h-20z"/>',
  )
  expect(written((pen) => (pen as unknown as SvgPen).drawCells({ ...block, colours, gap: '#fff' }))).toContain(
    '<path fill="#ff0000" d="M2 4h9v8h-9zM12 4h9v8h-9z"/>',
  )
})

test('a pattern is drawn with shapes, and begins where the coordinates do', () => {
  const svg = written((pen) => {
    pen.translate(7, 3)
    pen.fillStyle = hatchPattern(pen)!
    pen.fillRect(0, 0, 20, 10)
  })
  expect(svg).toMatch(
    /<pattern id="d0" patternUnits="userSpaceOnUse" width="5" height="5">(<path [^>]+>){5}<\/pattern>/,
  )
  expect(svg).toContain('<rect x="0" y="0" width="20" height="10" transform="translate(7 3)" fill="url(#d0)"/>')
})

test('the strips as SVG have every text of the canvas, and no raster', () => {
  const scene = makeScene({ labels: ['a', 'b', '<', 'c'] })
  const canvas = recordingPen()
  drawStrips(canvas, { ...scene, cursor: { row: null, step: null, pinned: false } }, { ...WINDOW, ratio: 1 })
  const part = stripsPart(scene, WINDOW, WINDOW, 'sight')
  const svg = written((pen) => part.draw(pen, 0, 0, 1))
  const texts = [...svg.matchAll(/>([^<>]*)<\/text>/g)].map(([, text]) => text)
  for (const { text } of canvas.texts.filter(({ text }) => text)) expect(texts).toContain(escaped(text))
  expect(svg).not.toMatch(/<image|href/)
})

test('a part of the strips has the marked steps with all rows', () => {
  const scene = { ...makeScene({ labels: ['a', 'b', '<', 'c'] }), range: { first: 1, last: 2 } }
  const part = stripsPart(scene, WINDOW, WINDOW, 'range')
  expect(part.steps).toEqual({ first: 1, last: 2 })
  expect(part.rows).toEqual({ first: 0, end: scene.rows.length })
  expect(part.width).toBe(scene.geometry.label + 2 * scene.geometry.cell)
  expect(stripsPart(scene, WINDOW, WINDOW, 'all').steps).toEqual({ first: 0, last: scene.labels.length - 1 })
})

test('captions are broken at spaces, or within words that are too long', () => {
  const measure = (text: string): number => text.length
  expect(wrapped(measure, 'one two three', 7)).toEqual(['one two', 'three'])
  expect(wrapped(measure, 'abcdefgh ij', 4)).toEqual(['abcd', 'efgh', 'ij'])
  const figure = { part: { width: 50, height: 20, draw: () => undefined }, theme: LIGHT, scale: null }
  const layout = layoutFigure(ruler, { ...figure, title: 'A title', caption: ['first', 'second'] })
  expect(layout).toMatchObject({ width: 452, title: ['A title'], lines: ['first', 'second'] })
  const pen = new SvgPen(ruler)
  drawFigure(pen.vector, { ...figure, title: 'A title', caption: ['first', 'second'] }, layout, 1)
  expect(pen.document(1, 1, '', '')).toContain('>second</text>')
})
