import { beforeAll, describe, expect, it } from 'vitest'
import { LIGHT } from '../../src/draw/palette'
import { drawStrips } from '../../src/draw/strips'
import { copiedTexts, recordingPen, useFakeDocument } from '../fake-canvas'
import { GATE, makeScene, SIGNED, visibleOf, WINDOW } from '../scenes'

beforeAll(useFakeDocument)

const LABELS = [...'abcd']

describe('cells', () => {
  it('have the colour of their value, row by row', () => {
    const scene = makeScene({
      labels: LABELS,
      rows: [{ values: Float32Array.of(-1, 0, 1, NaN) }, { values: Float32Array.of(1, 1, -1, 0.5) }],
    })
    const pen = recordingPen()
    drawStrips(pen, scene, WINDOW)
    const { palette, geometry: g } = scene
    const rows = pen.images.filter((image) => image.pixels.length)
    const colour = (value: number): number => palette.rgba[palette.level(SIGNED, value)]!
    expect(rows.map((image) => image.pixels[0])).toEqual([[-1, 0, 1, NaN].map(colour), [1, 1, -1, 0.5].map(colour)])
    expect(rows.map((image) => [image.x, image.y])).toEqual([
      [g.label, g.header],
      [g.label, g.header + g.pitch],
    ])
    expect(rows[0]).toMatchObject({ width: 4 * g.cell, height: g.strip })
  })

  it('out of sight are not drawn', () => {
    const labels = Array.from({ length: 200 }, () => 'a')
    const scene = makeScene({ labels, rows: Array.from({ length: 100 }, () => ({})) })
    const { geometry: g } = scene
    const window = { ...WINDOW, left: 10 * g.cell + 3, top: 7 * g.pitch + 1 }
    const pen = recordingPen()
    drawStrips(pen, scene, window)
    const rows = pen.images.filter((image) => image.pixels.length)
    expect(rows[0]).toMatchObject({ x: g.label - 3, y: g.header - 1 })
    expect(rows.length).toBe(Math.ceil((600 - g.header + 7 * g.pitch + 1) / g.pitch) - 7)
    expect(rows[0]!.pixels[0]!.length).toBe(Math.ceil((900 - g.label + 10 * g.cell + 3) / g.cell) - 10)
  })

  it('beyond the scale are hatched, without data dotted', () => {
    const values = Float32Array.of(0.5, 2, 3, NaN)
    const scene = makeScene({ labels: LABELS, rows: [{ values, scale: { ...SIGNED, open: true } }] })
    const pen = recordingPen()
    drawStrips(pen, scene, WINDOW)
    const { geometry: g } = scene
    const patterned = pen.rectangles.filter((box) => typeof box.style === 'object')
    expect(patterned.map((box) => [box.x, box.width])).toEqual([
      [g.label + g.cell, 2 * g.cell],
      [g.label + 3 * g.cell, g.cell],
    ])
    expect(patterned[0]!.style).not.toEqual(patterned[1]!.style)
  })
})

describe('gaps between cells', () => {
  it('are the paper, in all rows', () => {
    const scene = makeScene({ labels: LABELS, rows: [{}, {}, {}] })
    const pen = recordingPen()
    drawStrips(pen, scene, WINDOW)
    const v = visibleOf(scene)
    const { geometry: g, palette } = scene
    const gaps = pen.rectangles.filter((box) => box.style === palette.theme.paper && box.width === 1)
    const bottom = v.y(2) + g.strip
    expect(gaps.map((box) => [box.x, box.y, box.y + box.height])).toEqual(
      [0, 1, 2, 3, 4].map((step) => [v.x(step) - 1, v.y(0), bottom]),
    )
  })
})

describe('characters on the strips', () => {
  it('stand in the cell of their own step', () => {
    const scene = makeScene({ labels: LABELS, rows: [{}] })
    const pen = recordingPen()
    drawStrips(pen, scene, WINDOW)
    const v = visibleOf(scene)
    const middle = (scene.geometry.cell - 1) / 2
    expect(copiedTexts(pen).map(({ text, x }) => [text, x])).toEqual(
      LABELS.map((label, step) => [label, v.x(step) + middle]),
    )
  })

  it('have the ink of their cell, in every row and column of a scrolled window', () => {
    const labels = Array.from({ length: 150 }, (_, k) => 'abcde'[k % 5]!)
    const own = labels.map((label) => label.toUpperCase())
    const values = labels.map((_, k) => (k % 7 === 3 ? NaN : Math.sin(k * k)))
    const scene = makeScene({
      labels,
      rows: [{ values: Float32Array.from(values) }, { values: Float32Array.from(values).reverse(), labels: own }],
    })
    const { geometry: g, palette } = scene
    const window = { ...WINDOW, left: 37 * g.cell + 5 }
    const pen = recordingPen()
    drawStrips(pen, scene, window)
    const v = visibleOf(scene, window)
    const expected = scene.rows.flatMap((row, r) =>
      labels.flatMap((_, t) => {
        const level = palette.level(SIGNED, row.values[t]!)
        if (t < v.firstStep || t >= v.endStep || Number.isNaN(row.values[t]!)) return []
        const text = (row.labels ?? labels)[t]!
        const place = [v.x(t) + (g.cell - 1) / 2, v.y(r) + g.strip / 2 + 0.5]
        return [[text, palette.letters[level]!, ...place].join(' ')]
      }),
    )
    const shown = copiedTexts(pen).map(({ text, style, x, y }) => [text, style, x, y].join(' '))
    expect(shown.sort()).toEqual(expected.sort())
    expect(new Set(copiedTexts(pen).map(({ style }) => style)).size).toBeGreaterThan(1)
  })

  it('of one ink are copied together', () => {
    const labels = Array.from({ length: 70 }, (_, k) => 'xyz'[k % 3]!)
    const scene = makeScene({ labels, rows: [{}, {}, {}] })
    const pen = recordingPen()
    const window = { ...WINDOW, width: 5000 }
    drawStrips(pen, scene, window)
    const copies = pen.images.filter((image) => !image.pixels.length)
    expect(copies.length).toBe(3 * (2 + 6)) // 32 at a time, the last ones one by one
    // A letter more takes one picture more.
    const sources = new Set(copies.map((image) => image.source))
    const longer = [...labels, 'q']
    const rows = scene.rows.map((row) => ({ ...row, values: new Float32Array(longer.length) }))
    const next = recordingPen()
    drawStrips(next, { ...scene, labels: longer, ruler: longer, rows }, window)
    const later = next.images.filter((image) => !image.pixels.length && !sources.has(image.source))
    expect(later.map((image) => image.source.pen.texts.map(({ text }) => text))).toEqual([['q'], ['q'], ['q']])
  })
})

describe('curves under the strips', () => {
  const heights = (values: number[], scale = SIGNED): { y: number[]; top: number; height: number } => {
    const scene = makeScene({ labels: LABELS, curve: 46, rows: [{ values: Float32Array.from(values), scale }] })
    const pen = recordingPen()
    drawStrips(pen, scene, WINDOW)
    const { geometry: g } = scene
    const curve = pen.paths.find((path) => path.kind === 'stroke' && path.style === LIGHT.ink)!
    // Each line begins with a short stroke, so that a single point is seen.
    const points = curve.lines.flatMap((line) => line.filter((_, k) => k !== 1))
    return { y: points.map(([, y]) => y), top: g.header + g.strip + 4, height: g.curve }
  }

  it('are right side up', () => {
    const { y, top, height } = heights([-1, 0, 0.5, 1])
    expect(y).toEqual([top + height, top + height / 2, top + height / 4, top])
    const gate = heights([0, 0.25, 0.5, 1], GATE)
    expect(gate.y).toEqual([1, 0.75, 0.5, 0].map((share) => gate.top + share * gate.height))
  })

  it('stay near their band where values leave the scale', () => {
    const { y, top, height } = heights([-9, 9, 0, 0])
    expect(y[0]).toBeCloseTo(top + 1.04 * height, 9)
    expect(y[1]).toBeCloseTo(top - 0.04 * height, 9)
  })

  it('break where a sequence starts and where there is no data', () => {
    const scene = makeScene({
      labels: [...'abcdef'],
      curve: 46,
      arrays: { start: [1, 0, 1, 0, 0, 0] },
      rows: [{ values: Float32Array.of(0, 0.1, 0.2, 0.3, NaN, 0.5) }],
    })
    const pen = recordingPen()
    drawStrips(pen, scene, WINDOW)
    const v = visibleOf(scene)
    const middle = (step: number): number => v.x(step) + scene.geometry.cell / 2
    const curve = pen.paths.find((path) => path.style === LIGHT.ink)!
    expect(curve.lines.map((line) => line.filter((_, k) => k !== 1).map(([x]) => x))).toEqual([
      [middle(0), middle(1)],
      [middle(2), middle(3)],
      [middle(5)],
    ])
  })

  it('have a line at each end of the scale, and at zero between them', () => {
    const lines = (scale: typeof SIGNED): number[] => {
      const scene = makeScene({ labels: LABELS, curve: 46, rows: [{ scale }] })
      const pen = recordingPen()
      drawStrips(pen, scene, WINDOW)
      const top = scene.geometry.header + scene.geometry.strip + 4
      return pen.rectangles.filter((box) => box.style === LIGHT.line && box.y >= top).map((box) => box.y - top)
    }
    expect(lines(SIGNED)).toEqual([46, 23, 0])
    expect(lines(GATE)).toEqual([46, 0])
  })
})

describe('marks over the strips', () => {
  it('part the sequences', () => {
    const scene = makeScene({ labels: LABELS, arrays: { start: [1, 0, 1, 0] } })
    const pen = recordingPen()
    drawStrips(pen, scene, WINDOW)
    const { geometry: g } = scene
    const lines = pen.rectangles.filter((box) => box.style === LIGHT.mute && box.width === 1)
    expect([...new Set(lines.map((box) => box.x))]).toEqual([g.label + 2 * g.cell - 1])
  })

  it('frame the column and the cell of the cursor', () => {
    const scene = makeScene({
      labels: LABELS,
      rows: [{}, {}, {}],
      scene: { cursor: { row: 1, step: 2, pinned: true }, selected: 0 },
    })
    const pen = recordingPen()
    drawStrips(pen, scene, WINDOW)
    const v = visibleOf(scene)
    const frames = pen.rectangles.filter((box) => box.kind === 'stroke' && box.style === LIGHT.accent)
    expect(frames.map((box) => [box.x, box.y])).toEqual([
      [v.x(2) - 1, 0.5],
      [v.x(0) - 1.5, v.y(0) - 1],
      [v.x(2) - 1.5, v.y(1) - 1],
    ])
  })
})
