// The small modules of drawing: text cut to a width, patterns, the sprites of characters, row labels, and means of a pixel.
import { beforeAll, describe, expect, it } from 'vitest'
import { fitText } from '../../src/draw/fit-text'
import { LIGHT } from '../../src/draw/palette'
import { hatchPattern, noDataPattern } from '../../src/draw/patterns'
import { pixelMeans } from '../../src/draw/pixel-means'
import { drawRowLabels } from '../../src/draw/row-labels'
import { Sprites } from '../../src/draw/sprites'
import { drawStrips } from '../../src/draw/strips'
import { FIT_ZOOM } from '../../src/data/view'
import { copiedTexts, type FakeCanvas, recordingPen, useFakeDocument } from '../fake-canvas'
import { GATE, makeScene, SIGNED, visibleOf, WINDOW } from '../scenes'

beforeAll(useFakeDocument)

it('text is cut to a width, with an ellipsis', () => {
  const pen = recordingPen()
  pen.font = '10px sans-serif' // six pixels a letter
  expect(fitText(pen, 'gates', 30)).toBe('gates')
  expect(fitText(pen, 'forget gate', 48)).toBe('forget…')
  expect(fitText(pen, 'gates', 5)).toBe('')
})

it('the patterns of clipped and of missing values differ', () => {
  const pen = recordingPen()
  const tiles = [hatchPattern(pen), noDataPattern(pen)].map(
    (made) => (made as unknown as { pattern: FakeCanvas }).pattern,
  )
  const [hatched, dotted] = tiles.map((tile) => tile.pen.rectangles.map(({ x, y }) => [x, y]))
  expect(hatched).toEqual([0, 1, 2, 3, 4].map((k) => [k, k]))
  expect(dotted).toEqual([[1, 1]])
})

describe('a line of characters', () => {
  const cells = { font: 12, width: 20, height: 24, pitch: 21, ratio: 1 }

  it('is drawn once for each ink, each character in the middle of its cell', () => {
    const sprites = new Sprites()
    const pen = recordingPen()
    const draw = (ink: string): FakeCanvas => {
      sprites.line('ab', ['a', 'b'], { ...cells }).draw(pen, 0, 2, ink, 5, 7)
      return pen.images.at(-1)!.source
    }
    const sprite = draw('#123456')
    expect(sprite.pen.texts).toMatchObject([
      { text: 'a', style: '#123456', x: 10, y: 12.5, align: 'center' },
      { text: 'b', style: '#123456', x: 31, y: 12.5, align: 'center' },
    ])
    expect(pen.images).toMatchObject([{ x: 5, y: 7, width: 41, height: 24, left: 0 }])
    expect(draw('#123456')).toBe(sprite)
    expect(draw('#654321')).not.toBe(sprite)
  })

  it('is copied in part', () => {
    const pen = recordingPen()
    new Sprites().line('abc', ['a', 'b', 'c'], cells).draw(pen, 1, 2, '#123456', 5, 7)
    expect(pen.images).toMatchObject([{ left: 21, x: 26, width: 20 }])
    expect(copiedTexts(pen)).toEqual([{ text: 'b', style: '#123456', x: 36, y: 19.5 }])
  })

  it('is forgotten when cells have another size, or after 2,048 characters', () => {
    const sprites = new Sprites()
    const line = sprites.line('a', ['a'], cells)
    for (let k = 0; k < 2047; k++) sprites.line(`${k}`, [`${k}`], cells)
    expect(sprites.line('a', ['a'], cells)).toBe(line)
    sprites.line('more', ['m'], cells)
    const renewed = sprites.line('a', ['a'], cells)
    expect(renewed).not.toBe(line)
    expect(sprites.line('a', ['a'], { ...cells, ratio: 2 })).not.toBe(renewed)
  })
})

describe('labels of rows', () => {
  it('have their number, their note, and a line under collected neurons', () => {
    const scene = makeScene({ labels: ['a'], rows: [{ note: 'r 0.50' }, { collected: true }] })
    const pen = recordingPen()
    drawRowLabels(pen, scene, visibleOf(scene), WINDOW)
    const numbers = pen.texts.filter(({ align }) => align === 'left')
    expect(numbers.map(({ text, style }) => [text, style])).toEqual([
      ['0', LIGHT.ink],
      ['1', LIGHT.accent],
    ])
    expect(numbers[1]!.y - numbers[0]!.y).toBe(scene.geometry.pitch)
    expect(pen.texts.find(({ text }) => text === 'r 0.50')).toMatchObject({ align: 'right' })
    expect(pen.rectangles.filter(({ style }) => style === LIGHT.accent)).toHaveLength(1)
  })

  it('leave a note out where it would cover the number, as on a phone', () => {
    const notes = (label: number): string[] => {
      const scene = makeScene({ labels: ['a'], rows: [{ label: '104', note: 'AUROC 0.99' }] })
      const pen = recordingPen()
      drawRowLabels(pen, { ...scene, geometry: { ...scene.geometry, label } }, visibleOf(scene), WINDOW)
      return pen.texts.map(({ text }) => text)
    }
    expect(notes(134)).toEqual(['104', 'AUROC 0.99'])
    expect(notes(62)).toEqual(['104'])
  })

  it('print the upper end of a scale above the lower one', () => {
    const scene = makeScene({ labels: ['a'], curve: 46, rows: [{ scale: { ...GATE, high: 4 } }, { scale: SIGNED }] })
    const pen = recordingPen()
    drawRowLabels(pen, scene, visibleOf(scene), WINDOW)
    const ends = pen.texts.filter(({ align }) => align === 'right')
    expect(ends.map(({ text }) => text)).toEqual(['4', '0', '1', '0', '−1'])
    expect(ends[0]!.y).toBeLessThan(ends[1]!.y)
    expect(ends[1]!.y - ends[0]!.y).toBe(46)
    expect(ends[3]!.y - ends[2]!.y).toBe(23)
  })
})

describe('the whole text in sight', () => {
  it('has the mean of the steps of each pixel', () => {
    expect([...pixelMeans([1, 3, NaN, 5, NaN, NaN], 3)]).toEqual([2, 5, NaN])
    expect([...pixelMeans([1, 2], 4)]).toEqual([1, 1, 2, 2])
  })

  it('is as wide as the window: one copied pixel for several steps', () => {
    const labels = Array.from({ length: 1400 }, () => 'a')
    const values = Float32Array.from(labels, (_, t) => (t < 700 ? -1 : 1))
    const scene = makeScene({ labels, rows: [{ values }], zoom: FIT_ZOOM })
    expect(scene.geometry.cell).toBe(0.5)
    const pen = recordingPen()
    drawStrips(pen, scene, WINDOW)
    const [row] = pen.images
    expect(row!.width).toBe(700)
    expect(row!.x).toBe(scene.geometry.label)
    expect(new Set(row!.pixels[0]!.slice(0, 350)).size).toBe(1)
    expect(row!.pixels[0]![0]).not.toBe(row!.pixels[0]![699])
  })

  it('has characters as large as their columns allow', () => {
    const cells = [20, 40, 80, 200].map((count) =>
      makeScene({ labels: Array<string>(count).fill('a'), zoom: FIT_ZOOM }),
    )
    expect(cells.map(({ geometry }) => geometry.cell)).toEqual([30, 17, 8, 3])
    const fonts = cells.map(({ geometry }) => geometry.font)
    expect(fonts).toEqual([...fonts].sort((a, b) => b - a))
    expect(fonts[0]).toBe(16)
    expect(fonts[3]).toBe(0)
  })
})
