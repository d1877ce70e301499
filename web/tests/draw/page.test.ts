import { beforeAll, describe, expect, it } from 'vitest'
import { drawPage, type PageScene, scrollPage } from '../../src/draw/page'
import { bandTop, pageGeometry, pageSpotAt } from '../../src/draw/page-geometry'
import { LIGHT, Palette } from '../../src/draw/palette'
import { Sprites } from '../../src/draw/sprites'
import { pageLines } from '../../src/model/page-lines'
import { type RecordingPen, recordingPen, useFakeDocument } from '../fake-canvas'
import { GATE, SIGNED } from '../scenes'

beforeAll(useFakeDocument)

/** Four steps and a line end, then two steps; values of two neurons. */
const LABELS = [...'abcd\nef']
const VALUES = [
  [-1, -0.5, 0, 0.5, 1, 0, NaN],
  [1, 1, 1, 1, 1, 1, 1],
]
const WINDOW = { width: 800, height: 300, top: 0, ratio: 1 }

function scene(part: Partial<PageScene> = {}, panes = 2, zoom = 3): PageScene {
  const g = pageGeometry(zoom, WINDOW.width, panes, part.track !== undefined)
  return {
    geometry: g,
    lines: pageLines(LABELS, new Uint8Array(LABELS.length), 'character', g.columns),
    palette: new Palette(LIGHT),
    sprites: new Sprites(),
    wideSprites: new Sprites(),
    labels: LABELS,
    unknown: new Uint8Array(LABELS.length),
    panes: VALUES.slice(0, panes).map((values, neuron) => ({
      neuron,
      values: Float32Array.from(values),
      scale: SIGNED,
      held: [],
    })),
    track: null,
    range: null,
    ...part,
  }
}
/** The copied rows of colours, without the characters. */
const rowsOf = (pen: RecordingPen) => pen.images.filter((image) => image.pixels.length === 1)
const colour = ([r, g, b]: readonly number[]): number => ((255 << 24) | (b! << 16) | (g! << 8) | r!) >>> 0

describe('a page of text', () => {
  it('has the colour of each value in its column, line by line, and none without data', () => {
    const drawn = scene()
    const pen = recordingPen()
    drawPage(pen, drawn, WINDOW)
    const [first, second] = rowsOf(pen)
    expect(first!.pixels[0]![0]).toBe(colour(LIGHT.negative))
    expect(first!.pixels[0]![2]).toBe(colour(LIGHT.middle))
    expect(first!.pixels[0]![4]).toBe(colour(LIGHT.positive))
    expect(second!.pixels[0]!.slice(0, 3)).toEqual([colour(LIGHT.middle), 0, 0])
    const { cell, band, pitch, left } = drawn.geometry
    expect(first).toMatchObject({ x: left[0], y: 0, width: drawn.lines.columns * cell, height: band })
    expect(second!.y).toBe(pitch)
  })

  it('stands in a pane of its own for each neuron', () => {
    const drawn = scene()
    const pen = recordingPen()
    drawPage(pen, drawn, WINDOW)
    expect(rowsOf(pen).map(({ x }) => x)).toEqual([0, 0, 1, 1].map((pane) => drawn.geometry.left[pane]))
    expect(drawn.geometry.stacked).toBe(false)
  })

  it('draws only what is in sight, and what comes into sight', () => {
    const drawn = scene({}, 1)
    const pen = recordingPen()
    drawPage(pen, drawn, { ...WINDOW, height: drawn.geometry.pitch })
    expect(rowsOf(pen)).toHaveLength(1)
    const below = recordingPen()
    below.canvas.image = new ImageData(1, 1) as never
    scrollPage(
      below,
      drawn,
      { ...WINDOW, height: drawn.geometry.pitch, top: drawn.geometry.pitch },
      drawn.geometry.pitch,
    )
    expect(rowsOf(below)).toHaveLength(1)
    // The second line, at the top of the window; its second step has no data.
    expect(rowsOf(below)[0]!.pixels[0]!.slice(0, 2)).toEqual([colour(LIGHT.middle), 0])
    expect(rowsOf(below)[0]!.y).toBe(0)
  })

  it('has a feature under the characters where it is on', () => {
    const track = {
      name: 'f',
      title: 'f',
      kind: 'binary' as const,
      values: Uint8Array.from([0, 1, 1, 0, 0, 0, 0]),
      most: 1,
    }
    const drawn = scene({ track }, 1)
    const pen = recordingPen()
    drawPage(pen, drawn, WINDOW)
    const { cell, band, left } = drawn.geometry
    const bars = pen.rectangles.filter(({ style }) => style === LIGHT.accent)
    expect(bars.map(({ x }) => x)).toEqual([left[0]! + cell, left[0]! + 2 * cell])
    for (const { y } of bars) expect(y).toBeGreaterThanOrEqual(band)
  })

  it('frames held steps and lines a range on every line that it crosses', () => {
    const held = scene({ range: { first: 3, last: 5 } }, 1)
    held.panes[0]!.held = [{ first: 1, last: 2 }]
    const pen = recordingPen()
    drawPage(pen, held, WINDOW)
    const { cell, left, pitch } = held.geometry
    const frames = pen.rectangles.filter(({ kind }) => kind === 'stroke')
    expect(frames).toMatchObject([{ x: left[0]! + cell + 1, width: 2 * cell - 2, style: LIGHT.held }])
    const lines = pen.rectangles.filter(({ style }) => style === LIGHT.accent)
    expect(lines.map(({ x, width }) => [x, width])).toEqual([
      [left[0]! + 3 * cell, 2 * cell],
      [left[0]! + 3 * cell, 2 * cell],
      [left[0]!, cell],
      [left[0]!, cell],
    ])
    expect(lines[2]!.y).toBe(pitch - 1)
  })

  it('prints the first step of each line beside it', () => {
    const pen = recordingPen()
    drawPage(pen, scene({}, 1), WINDOW)
    expect(pen.texts.filter(({ align }) => align === 'right').map(({ text }) => text)).toEqual(['0', '5'])
  })

  it('hatches values beyond an open scale and dots missing ones', () => {
    const drawn = scene({}, 1)
    drawn.panes[0]!.scale = { ...GATE, high: 0.5, open: true }
    drawn.panes[0]!.values = Float32Array.from([0, 0.75, 0.5, 0, 0, 0, NaN])
    const pen = recordingPen()
    drawPage(pen, drawn, WINDOW)
    const marks = pen.rectangles.filter(({ style }) => typeof style === 'object')
    const { cell, left, pitch } = drawn.geometry
    expect(marks.map(({ x, y }) => [x, y])).toEqual([
      [left[0]! + cell, 0],
      [left[0]! + cell, pitch],
    ])
    expect(marks[0]!.style).not.toEqual(marks[1]!.style)
  })
})

describe('the layout of a page', () => {
  it('puts panes one below the other where they would be too narrow', () => {
    const g = pageGeometry(3, 390, 3, false)
    expect(g.stacked).toBe(true)
    expect([0, 1, 2].map((pane) => bandTop(g, 0, pane))).toEqual([0, g.band + 1, 2 * (g.band + 1)])
    expect(bandTop(g, 1, 0)).toBeGreaterThan(bandTop(g, 0, 2) + g.band)
    expect(pageGeometry(3, 1200, 3, false).stacked).toBe(false)
  })

  it('keeps all panes inside the window', () => {
    for (const width of [320, 390, 700, 880, 1400])
      for (let panes = 1; panes <= 6; panes++)
        for (let zoom = 0; zoom < 5; zoom++) {
          const g = pageGeometry(zoom, width, panes, true)
          expect(g.left.at(-1)! + (g.columns + 1) * g.cell).toBeLessThanOrEqual(Math.max(width, 24 + 9 * g.cell))
        }
  })

  it('finds the step under a point, in every pane, and the marks of a character at its foot', () => {
    const { geometry: g, lines } = scene()
    const at = (pane: number, column: number, line: number, scrolled = 0) =>
      pageSpotAt(g, lines, scrolled, g.left[pane]! + (column + 0.5) * g.cell, line * g.pitch + 4 - scrolled)
    expect(at(0, 2, 0)).toEqual({ pane: 0, step: 2 })
    expect(at(1, 1, 1)).toEqual({ pane: 1, step: 6 })
    expect(at(1, 1, 1, 10)).toEqual({ pane: 1, step: 6 })
    expect(at(0, 7, 0)).toBeNull()
    expect(at(0, 0, 2)).toBeNull()
    const marked = pageLines(['e', '\u0301', 'a'], new Uint8Array(3), 'character', 20)
    const foot = pageSpotAt(g, marked, 0, g.left[0]! + 2, g.band - 1)
    expect(foot).toEqual({ pane: 0, step: 1 })
    expect(pageSpotAt(g, marked, 0, g.left[0]! + 2, 3)).toEqual({ pane: 0, step: 0 })
  })
})
