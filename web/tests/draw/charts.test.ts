import { beforeAll, describe, expect, it } from 'vitest'
import { drawChartNames, drawCharts, drawHeat } from '../../src/draw/charts'
import { LIGHT } from '../../src/draw/palette'
import { recordingPen, useFakeDocument } from '../fake-canvas'
import { makeScene, type SceneOptions, visibleOf } from '../scenes'

beforeAll(useFakeDocument)

const NUMBERS = { kind: 'numbers', quantiles: [0.1, 0.5, 0.9] } as const

/** A series 0, 1, 2, ...; the forecast of the next two steps is 1 below what comes, in an interval of ± 0.5. */
const STEPS = 8
const FORECAST: SceneOptions = {
  labels: Array.from({ length: STEPS }, () => ''),
  unit: 'number',
  vocabulary: ['x'],
  readout: { ...NUMBERS, names: ['1 ahead', '2 ahead'], quantiles: [...NUMBERS.quantiles] },
  arrays: {
    input: Array.from({ length: STEPS }, (_, t) => [t]),
    value: Array.from({ length: STEPS }, (_, t) => [t + 1 < STEPS ? t + 1 : NaN, t + 2 < STEPS ? t + 2 : NaN]),
    estimate: Array.from({ length: STEPS }, (_, t) => [t - 0.5, t, t + 0.5, t + 1.8, t + 1.9, t + 2.1]),
  },
}

describe('curves of numbers', () => {
  const scene = makeScene({ ...FORECAST, scene: { cursor: { row: null, step: 3, pinned: false } } })
  const v = visibleOf(scene)
  const { geometry: g } = scene
  const band = g.charts[0]!
  const chart = scene.header.charts[0]!
  const y = (value: number): number => band.y + ((chart.high - value) / (chart.high - chart.low)) * band.height
  const x = (step: number): number => v.x(step) + g.cell / 2
  const pen = recordingPen()
  drawCharts(pen, scene, v)
  const points = (style: string, width: number) =>
    pen.paths
      .filter((path) => path.kind === 'stroke' && path.style === style)
      [width]!.lines.flatMap((line) => line.filter((_, k) => k !== 1))

  it('are right side up: a larger value lies higher', () => {
    expect(y(7)).toBeLessThan(y(0))
    const drawn = points(LIGHT.ink, 0)
    drawn.forEach(([px, py], t) => {
      expect(px).toBe(x(t))
      expect(py).toBeCloseTo(y(t), 6)
    })
    expect(drawn).toHaveLength(STEPS)
  })

  it('draw an estimate at the step it is about', () => {
    const drawn = points(LIGHT.accent, 0)
    expect(drawn[0]![0]).toBe(x(1))
    expect(drawn[0]![1]).toBeCloseTo(y(0), 6)
  })

  it('have a band between the outer quantiles', () => {
    const bands = pen.rectangles.filter((box) => box.style === LIGHT.accent)
    expect(bands[0]).toMatchObject({ x: v.x(1), width: g.cell })
    expect(bands[2]!.y).toBeCloseTo(y(2.5), 6)
    expect(bands[2]!.height).toBeCloseTo(y(1.5) - y(2.5), 6)
  })

  it('fan out from the cursor, with what came: outside of the interval in red', () => {
    const fan = pen.paths.find((path) => path.kind === 'fill' && path.alpha < 1)!
    expect(fan.lines[0]!.map(([px]) => px)).toEqual([x(3), x(4), x(5), x(5), x(4)])
    const dots = pen.paths.filter((path) => path.arcs.length)
    expect(dots.map((path) => [path.style, path.arcs[0]!.x])).toEqual([
      [LIGHT.warn, x(4)],
      [LIGHT.ink, x(5)],
    ])
    dots.forEach((path, k) => expect(path.arcs[0]!.y).toBeCloseTo(y(4 + k), 6))
  })

  it('have the ends of their scale printed, the upper one on top', () => {
    const names = recordingPen()
    drawChartNames(names, scene)
    const ends = names.texts.filter((text) => text.align === 'right')
    expect(ends.map((text) => text.text)).toEqual(['7.5', '−0.5'])
    expect(ends[0]!.y).toBeLessThan(ends[1]!.y)
  })
})

describe('estimates beside targets', () => {
  it('draw the targets dashed in green', () => {
    const scene = makeScene({
      labels: ['', '', ''],
      unit: 'number',
      vocabulary: ['x'],
      readout: { kind: 'numbers', names: ['sum'] },
      arrays: { input: [[0.3], [0.7], [0.9]], value: [[1], [2], [3]], estimate: [[1.1], [2.2], [2.9]] },
    })
    const pen = recordingPen()
    drawCharts(pen, scene, visibleOf(scene))
    const targets = pen.paths.filter((path) => path.style === LIGHT.good)
    expect(targets).toMatchObject([{ dash: [5, 3] }])
    const heights = targets[0]!.lines[0]!.map(([, py]) => py)
    expect(heights.at(-1)).toBeLessThan(heights[0]!)
  })
})

describe('a heat strip', () => {
  it('has a row for each number and a column for each step', () => {
    const input = [0, 1, 2].map((t) => Array.from({ length: 8 }, (_, k) => (t === 1 && k === 5 ? 3 : -1)))
    const scene = makeScene({
      labels: ['', '', ''],
      unit: 'number',
      vocabulary: Array.from({ length: 8 }, (_, k) => `x${k}`),
      readout: { kind: 'classes', names: ['low', 'high'] },
      arrays: { input },
    })
    const pen = recordingPen()
    drawHeat(pen, scene, visibleOf(scene))
    const { palette, header } = scene
    const colour = (value: number): number => palette.rgba[palette.level(header.heat!.scale, value)]!
    const { pixels } = pen.images[0]!
    expect([pixels.length, pixels[0]!.length]).toEqual([8, 3])
    expect(pixels[5]).toEqual([colour(-1), colour(3), colour(-1)])
    expect(pixels[4]).toEqual([colour(-1), colour(-1), colour(-1)])
  })
})
