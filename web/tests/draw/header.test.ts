import { describe, expect, it } from 'vitest'
import type { Run } from '../../src/data/run'
import { headerOf } from '../../src/draw/header'
import { LIGHT } from '../../src/draw/palette'
import { drawHeaderLabels } from '../../src/draw/header-labels'
import { drawPredictionBars } from '../../src/draw/prediction-bars'
import { drawRuler } from '../../src/draw/ruler'
import { recordingPen } from '../fake-canvas'
import { makeScene, makeTrace, visibleOf } from '../scenes'

const LABELS = [...'abcd']
const CLASSES = { kind: 'classes', names: ['low', 'high'] } as const

describe('the parts of the header', () => {
  const run = (readout: object, unit = 'character'): Run =>
    ({
      unit,
      vocabulary: ['x', 'y'],
      task: { name: 'text' },
      readout: { names: [], quantiles: [], reads: 'every step', kind: 'symbols', ...readout },
    }) as unknown as Run

  it('of symbols are predictions and surprise', () => {
    const { parts } = headerOf(run({}), makeTrace(LABELS))
    expect(parts).toMatchObject({ text: 'characters', classes: null, predictions: true, surprise: true, charts: [] })
  })

  it('of classes have no surprise without targets', () => {
    const trace = (target: number[]) => makeTrace(LABELS, { target })
    const tagged = headerOf(run(CLASSES, 'word'), trace([0, 1, 1, 0])).parts
    expect(tagged).toMatchObject({ text: 'words', classes: ['low', 'high'], hasTargets: true, surprise: true })
    const untagged = headerOf(run(CLASSES), trace([-1, -1, -1, -1])).parts
    expect(untagged).toMatchObject({ hasTargets: false, surprise: false })
    const once = headerOf(run({ ...CLASSES, reads: 'last step' }), trace([-1, -1, -1, 1]))
    expect(once).toMatchObject({ once: true, parts: { surprise: false, hasTargets: true } })
  })

  it('of numbers have curves, and room for what lies ahead', () => {
    const names = ['1 ahead', '2 ahead']
    const trace = makeTrace(LABELS, {
      input: [[1], [2], [3], [4]],
      estimate: LABELS.map(() => [0, 0]),
      value: [
        [2, 3],
        [3, 4],
        [4, NaN],
        [NaN, NaN],
      ],
    })
    const { parts } = headerOf({ ...run({ kind: 'numbers', names }, 'number'), vocabulary: ['x'] } as Run, trace)
    expect(parts).toMatchObject({ text: 'none', ahead: 2, charts: [132], predictions: false, surprise: false, heat: 0 })
  })
})

describe('prediction bars', () => {
  const scene = makeScene({
    labels: LABELS,
    arrays: {
      topToken: [
        [1, 0],
        [0, 1],
        [0, 1],
        [2, 1],
      ],
      topProbability: [
        [0.75, 0.25],
        [0.5, 0.5],
        [1, 0],
        [0.01, 0.005],
      ],
      logProbability: [-2.5, -5, -50, NaN],
    },
  })
  const { geometry: g } = scene
  const v = visibleOf(scene)
  const pen = recordingPen()
  drawPredictionBars(pen, scene, v)
  const bottom = g.predictions.y + g.predictions.height

  it('are as high as the probability, the likeliest at the bottom', () => {
    const bars = pen.rectangles.filter((box) => box.style === LIGHT.bar || box.style === LIGHT.barQuiet)
    const at = (step: number) => bars.filter((box) => box.x === v.x(step))
    const height = (probability: number): number => Math.round(probability * g.predictions.height)
    expect(at(0).map((box) => [box.style, box.y, box.height])).toEqual([
      [LIGHT.bar, bottom - height(0.75), height(0.75) - 1],
      [LIGHT.barQuiet, bottom - height(0.75) - height(0.25), height(0.25) - 1],
    ])
    expect(at(2)).toHaveLength(1)
    expect(at(3)).toEqual([])
  })

  it('have the predicted symbol on them', () => {
    const letters = pen.texts.filter((text) => text.x < v.x(1))
    expect(letters.map((text) => text.text)).toEqual(['b'])
    expect(letters[0]!.y).toBeGreaterThan(bottom - 0.75 * g.predictions.height)
  })

  it('stand over the surprise, in nats: the bar is full at 5', () => {
    const bars = pen.rectangles.filter((box) => box.y === g.surprise.y)
    expect(bars.map((box) => [box.x, box.height])).toEqual([
      [v.x(0), g.surprise.height / 2],
      [v.x(1), g.surprise.height],
      [v.x(2), g.surprise.height],
    ])
  })
})

describe('the ruler', () => {
  it('counts steps from 0, as far apart as there is room', () => {
    const labels = Array.from({ length: 120 }, () => 'a')
    const numbers = (zoom: number): string[] => {
      const scene = makeScene({ labels, zoom })
      const pen = recordingPen()
      drawRuler(pen, scene, visibleOf(scene))
      const v = visibleOf(scene)
      const found = pen.texts.filter((text) => /^\d+$/.test(text.text))
      for (const { text, x } of found) expect(x).toBe(v.x(Number(text)) + 3)
      return found.map((text) => text.text).slice(0, 3)
    }
    expect(numbers(3)).toEqual(['0', '5', '10'])
    expect(numbers(0)).toEqual(['0', '50', '100'])
  })

  it('has every character in the middle of its column, unknown ones in red', () => {
    const scene = makeScene({ labels: LABELS, scene: { unknown: Uint8Array.of(0, 0, 1, 0) } })
    const pen = recordingPen()
    drawRuler(pen, scene, visibleOf(scene))
    const v = visibleOf(scene)
    const letters = pen.texts.filter((text) => text.align === 'center')
    expect(letters.map((text) => [text.text, text.x, text.style])).toEqual(
      LABELS.map((label, t) => [label, v.x(t) + (scene.geometry.cell - 1) / 2, t === 2 ? LIGHT.warn : LIGHT.ink]),
    )
    const dots = pen.rectangles.filter((box) => box.style === LIGHT.warn)
    expect(dots.length).toBeGreaterThan(2)
    expect(dots.every((box) => box.x > v.x(2) && box.x < v.x(3))).toBe(true)
  })

  it('slants words that do not fit into sight', () => {
    const words = ['the', 'horse', 'sees', 'the', 'sea']
    const angles = (width: number): number[] => {
      const scene = makeScene({ labels: words, unit: 'word', extras: { width } })
      const pen = recordingPen()
      drawRuler(pen, scene, visibleOf(scene))
      return pen.texts.filter((text) => words.includes(text.text)).map((text) => text.angle)
    }
    expect(angles(100)).toEqual(words.map(() => -Math.PI / 3))
    expect(angles(900)).toEqual(words.map(() => 0))
  })
})

describe('the labels of the header', () => {
  const labels = (options: Parameters<typeof makeScene>[0]) => {
    const scene = makeScene(options)
    const pen = recordingPen()
    drawHeaderLabels(pen, scene)
    return { g: scene.geometry, texts: new Map(pen.texts.map((text) => [text.text, text])) }
  }

  it('stand beside their parts', () => {
    const { g, texts } = labels({ labels: LABELS })
    expect([...texts].map(([text, { y }]) => [text, y])).toEqual([
      ['text, as read', g.ruler.y + g.ruler.height / 2],
      ['next, as predicted', g.predictions.y + g.predictions.height / 2],
      ['surprise (0–5 nats)', g.surprise.y + g.surprise.height / 2],
    ])
  })

  it('are short in a narrow column', () => {
    const { texts } = labels({ labels: LABELS, label: 62 })
    expect([...texts.keys()]).toEqual(['text', 'next?', 'surprise'])
  })

  it('point to the left for a layer that reads from the end', () => {
    const { texts } = labels({ labels: LABELS, scene: { reverse: true } })
    expect([...texts.keys()][0]).toBe('← read from the end')
  })

  it('name the classes by their colours', () => {
    const topToken = LABELS.map(() => [0, 1])
    const arrays = { topToken, topProbability: LABELS.map(() => [0.7, 0.3]), target: [0, 1, 1, 0] }
    const { g, texts } = labels({ labels: LABELS, readout: { ...CLASSES, names: ['low', 'high'] }, arrays })
    expect(texts.get('low')!.y).toBeGreaterThan(texts.get('high')!.y)
    expect(texts.get('high')!.y).toBeGreaterThan(g.predictions.y)
    expect(texts.has('next, as predicted')).toBe(false)
  })
})
