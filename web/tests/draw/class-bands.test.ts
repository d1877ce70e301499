import { describe, expect, it } from 'vitest'
import { drawClassBands, drawClassProbabilities, mergeSteps } from '../../src/draw/class-bands'
import { LIGHT } from '../../src/draw/palette'
import { recordingPen } from '../fake-canvas'
import { makeScene, type SceneOptions, visibleOf } from '../scenes'

const LABELS = [...'abcd']
const NAMES = ['low', 'high']
const OPTIONS: SceneOptions = {
  labels: LABELS,
  zoom: 4,
  readout: { kind: 'classes', names: NAMES },
  arrays: {
    topToken: [
      [0, 1],
      [1, 0],
      [1, 0],
      [0, 1],
    ],
    topProbability: [
      [0.75, 0.25],
      [0.5, 0.5],
      [1, 0],
      [0.9, 0.1],
    ],
    target: [0, 0, -1, 1],
  },
}

describe('the band of predicted classes', () => {
  const scene = makeScene(OPTIONS)
  const v = visibleOf(scene)
  const { geometry: g } = scene
  const pen = recordingPen()
  drawClassBands(pen, scene, v)

  it('has the ground of its correctness', () => {
    const grounds = pen.rectangles.filter((box) => box.y === g.predicted.y && box.height === g.predicted.height)
    expect(grounds.map((box) => [box.x, box.style])).toEqual([
      [v.x(0), LIGHT.right],
      [v.x(1), LIGHT.wrong],
      [v.x(2), LIGHT.chip], // no target
      [v.x(3), LIGHT.wrong],
    ])
  })

  it('names the prediction, and under it the target', () => {
    // Names are cut to their columns.
    const names = (band: { y: number; height: number }): string[] =>
      pen.texts.filter(({ y }) => y > band.y && y < band.y + band.height).map(({ text }) => text.slice(0, 2))
    expect(names(g.predicted)).toEqual(['lo', 'hi', 'hi', 'lo'])
    expect(names(g.target)).toEqual(['lo', 'lo', 'hi'])
  })
})

describe('the probabilities of classes', () => {
  const scene = makeScene(OPTIONS)
  const v = visibleOf(scene)
  const { predictions } = scene.geometry
  const pen = recordingPen()
  drawClassProbabilities(pen, scene, v)

  it('lie on each other in the order of the classes, not of their size', () => {
    const shares = (step: number): [unknown, number, number][] =>
      pen.rectangles
        .filter((box) => box.x === v.x(step) && LIGHT.classes.includes(box.style as string))
        .map((box) => [box.style, box.y, box.height])
    const bottom = predictions.y + predictions.height
    const [low, high] = LIGHT.classes
    for (const [step, share] of [
      [0, 0.75],
      [2, 0],
    ] as const) {
      const height = share * predictions.height
      expect(shares(step)).toEqual([
        [low, bottom - height, height],
        [high, predictions.y, predictions.height - height],
      ])
    }
  })

  it('have a line at one half', () => {
    const line = pen.rectangles.find((box) => box.style === LIGHT.paper)!
    expect(line).toMatchObject({ y: predictions.y + predictions.height / 2, height: 1, x: v.x(0) })
  })
})

describe('equal neighbours', () => {
  it('are merged within a sequence only', () => {
    const keys = [1, 1, 2, 2, 2]
    const merge = (joined: boolean) => mergeSteps((t) => keys[t]!, Uint8Array.of(1, 0, 0, 0, 1), 0, 5, joined)
    expect(merge(true)).toEqual([
      { id: 1, from: 0, to: 2 },
      { id: 2, from: 2, to: 4 },
      { id: 2, from: 4, to: 5 },
    ])
    expect(merge(false)).toHaveLength(5)
  })
})
