import { describe, expect, it } from 'vitest'
import { geometry, spotAt } from '../src/draw/geometry'

const measure = (text: string): number => 60 * text.length
const LABELS = [...'abc def']

describe('where things lie', () => {
  const plain = geometry(3, LABELS, 200, 0, measure)
  const full = geometry(3, LABELS, 200, 0, measure, { track: true, chips: true, note: 50 })

  it('leaves room for a track only where there is one', () => {
    expect(plain.track.height).toBe(0)
    expect(plain.chip).toBeNull()
    expect(full.header - plain.header).toBe(full.track.height + (full.track.y - full.surprise.y - full.surprise.height))
    expect(full.track.y).toBeGreaterThanOrEqual(full.surprise.y + full.surprise.height)
    expect(full.track.y + full.track.height).toBeLessThan(full.header)
  })

  it('keeps chips between the number and the remark', () => {
    expect(full.chip!.x + full.chip!.width).toBeLessThanOrEqual(200 - 50)
    expect(geometry(3, LABELS, 62, 0, measure, { track: false, chips: true, note: 50 }).chip).toBeNull()
    expect(geometry(0, LABELS, 200, 0, measure, { track: false, chips: true, note: 0 }).chip).toBeNull()
  })

  it('finds the track, the chip and the number under the pointer', () => {
    const none = { left: 0, top: 0 }
    const at = (x: number, y: number) => spotAt(full, 5, 7, none, x, y)
    const cell = full.label + 2.5 * full.cell
    expect(at(cell, full.track.y + 3)).toEqual({ part: 'track', step: 2 })
    expect(at(cell, full.ruler.y + 3)).toEqual({ part: 'ruler', step: 2 })
    expect(at(cell, full.surprise.y + 3)).toEqual({ part: 'surprise', step: 2 })
    expect(at(full.chip!.x + 5, full.header + full.pitch + 3)).toEqual({ part: 'chip', row: 1 })
    expect(at(5, full.header + full.pitch + 3)).toEqual({ part: 'label', row: 1 })
    expect(at(full.label - 5, full.header + full.pitch + 3)).toEqual({ part: 'label', row: 1 })
    expect(spotAt(plain, 5, 7, none, cell, plain.header - 2)).toEqual({ part: 'surprise', step: 2 })
  })
})
