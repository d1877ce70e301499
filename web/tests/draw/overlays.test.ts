import { describe, expect, it } from 'vitest'
import { fitText } from '../../src/draw/fit-text'
import { drawChip, drawRangeBand, drawRangeEdges, drawTrack } from '../../src/draw/overlays'
import { LIGHT } from '../../src/draw/palette'
import { drawRowLabels } from '../../src/draw/row-labels'
import { recordingPen } from '../fake-canvas'
import { GATE, makeScene, SIGNED, visibleOf, WINDOW } from '../scenes'

const LABELS = [...'abcdef']

describe('the track of a feature', () => {
  const draw = (kind: 'binary' | 'count', values: number[], zoom = 3) => {
    const track = {
      name: 'f',
      title: 'f',
      kind,
      values: Float32Array.from(values),
      most: Math.max(1, ...values.filter(Number.isFinite)),
    }
    const scene = makeScene({
      labels: LABELS,
      zoom,
      extras: { track: true },
      scene: { track },
      arrays: { start: [1, 0, 0, 1, 0, 0] },
    })
    const pen = recordingPen()
    drawTrack(pen, scene, visibleOf(scene))
    return { pen, scene, v: visibleOf(scene), bottom: scene.geometry.track.y + scene.geometry.track.height - 2 }
  }

  it('is a bar where a binary feature is on, without gaps inside a sequence', () => {
    const { pen, scene, v } = draw('binary', [0, 1, 1, 1, 0, 1])
    const { cell } = scene.geometry
    const bars = pen.rectangles.filter((box) => box.style === LIGHT.accent)
    expect(bars.map((box) => [box.x, box.width])).toEqual([
      [v.x(1), cell],
      [v.x(2), cell - 1], // the next step starts a sequence
      [v.x(3), cell - 1],
      [v.x(5), cell - 1],
    ])
  })

  it('has bars as high as a count, with the number', () => {
    const { pen, scene, bottom } = draw('count', [0, 1, 2, 4, NaN, 0])
    const full = scene.geometry.track.height - 4
    const bars = pen.rectangles.filter((box) => box.style === LIGHT.bar)
    expect(bars.map((box) => bottom - box.y)).toEqual([0, full / 4, full / 2, full, 0])
    expect(pen.texts.map((text) => text.text)).toEqual(['0', '1', '2', '4', '0'])
  })
})

describe('the selected range', () => {
  const scene = makeScene({ labels: LABELS, scene: { range: { first: 1, last: 3 } } })
  const v = visibleOf(scene)

  it('has a band behind its characters', () => {
    const pen = recordingPen()
    drawRangeBand(pen, scene, v)
    expect(pen.rectangles).toMatchObject([{ x: v.x(1) - 1, width: 3 * scene.geometry.cell, style: LIGHT.chipFull }])
  })

  it('has an edge on either side, the last step included', () => {
    const pen = recordingPen()
    drawRangeEdges(pen, scene, v, WINDOW)
    expect(pen.rectangles.map((box) => box.x)).toEqual([v.x(1) - 1.5, v.x(4) - 1])
  })
})

describe('the chip of a label', () => {
  it('is filled as far as the label is strong', () => {
    const chip = { text: 'inside quotes', strength: 0.25 }
    const scene = makeScene({ labels: LABELS, label: 226, extras: { chips: true }, rows: [{ chip }] })
    const pen = recordingPen()
    drawChip(pen, scene, scene.rows[0]!, 100)
    const { width, x } = scene.geometry.chip!
    expect(pen.rectangles.map((box) => [box.style, box.x, box.width])).toEqual([
      [LIGHT.chip, x, width],
      [LIGHT.chipFull, x, width / 4],
    ])
    expect(pen.texts.map((text) => text.text)).toEqual(['inside quotes'])
  })
})

describe('the labels of the rows', () => {
  it('stand in the middle of their strips', () => {
    const scene = makeScene({
      labels: LABELS,
      rows: [
        { label: '7', note: 'r 0.5' },
        { label: '3', inRange: true },
      ],
    })
    const pen = recordingPen()
    drawRowLabels(pen, scene, visibleOf(scene), WINDOW)
    const { geometry: g } = scene
    const y = (row: number): number => g.header + row * g.pitch + g.strip / 2
    expect(pen.texts.filter((text) => text.text).map((text) => [text.text, text.align, text.y, text.style])).toEqual([
      ['7', 'left', y(0), LIGHT.ink],
      ['r 0.5', 'right', y(0), LIGHT.mute],
      ['3', 'left', y(1), LIGHT.accent],
    ])
    expect(pen.rectangles.filter((box) => box.style === LIGHT.accent)).toMatchObject([{ x: 0, y: y(1) - g.strip / 2 }])
  })

  it('have the scale of their curve, its upper end on top', () => {
    const ends = (scale: typeof SIGNED): [string, number][] => {
      const scene = makeScene({ labels: LABELS, curve: 46, rows: [{ scale }] })
      const pen = recordingPen()
      drawRowLabels(pen, scene, visibleOf(scene), WINDOW)
      const top = scene.geometry.header + scene.geometry.strip + 4
      return pen.texts.filter((text) => text.align === 'right').map((text) => [text.text, text.y - top])
    }
    expect(ends(SIGNED)).toEqual([
      ['1', 0],
      ['0', 23],
      ['−1', 46],
    ])
    expect(ends(GATE)).toEqual([
      ['1', 0],
      ['0', 46],
    ])
  })

  it('are few where strips are thin', () => {
    const scene = makeScene({
      labels: LABELS,
      zoom: 0,
      rows: Array.from({ length: 9 }, () => ({})),
      scene: { selected: 6 },
    })
    const pen = recordingPen()
    drawRowLabels(pen, scene, visibleOf(scene), WINDOW)
    expect(pen.texts.map((text) => text.text)).toEqual(['0', '4', '6', '8'])
  })
})

describe('a text cut to a width', () => {
  it('keeps as many letters as fit', () => {
    const pen = recordingPen()
    pen.font = '10px sans-serif' // a letter is 6 wide
    expect(fitText(pen, 'inside quotes', 78)).toBe('inside quotes')
    expect(fitText(pen, 'inside quotes', 54)).toBe('inside q…')
    expect(fitText(pen, 'inside quotes', 48)).toBe('inside…')
    expect(fitText(pen, 'inside', 3)).toBe('')
  })
})
