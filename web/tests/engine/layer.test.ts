// Which engine runs a layer, and what it leaves in the memory of the kernels.
import { describe, expect, it, vi } from 'vitest'
import { EngineError } from '../../engine/errors'
import type { Network } from '../../engine/network'
import { KERNELS } from './engines'
import { arrayOf, type Case, difference, INDEX, openCase } from './fixtures'
import { loadPlain } from './kernel-problems'

const named = (name: string): Case => INDEX.cases.find((about) => about.case === name)!
const lstm = named('lstm/characters')
const own = named('own/characters')
const kernels = KERNELS.native

function engineOf(network: Network, about: Case): { engine: string; h: ArrayLike<number> } {
  const data = arrayOf(about, 'inputs').data as Int32Array
  const { engines, top } = network.run(network.inputs(data, INDEX.rows))
  return { engine: engines[0]!, h: top }
}

describe('a layer', () => {
  it('is run by the kernels if they have its cell, and by the plain engine otherwise', () => {
    expect(engineOf(openCase(lstm, { kernels }), lstm).engine).toBe('native')
    expect(engineOf(openCase(lstm, { kernels, engine: 'native' }), lstm).engine).toBe('native')
    expect(engineOf(openCase(lstm, { kernels, engine: 'plain' }), lstm).engine).toBe('plain')
    expect(engineOf(openCase(lstm), lstm).engine).toBe('plain')
    expect(engineOf(openCase(own, { kernels }), own).engine).toBe('plain')
  })

  it('is refused if the kernels are required and cannot run it', () => {
    const missing = expect.objectContaining({ code: 'ENGINE_NATIVE_MISSING' }) as EngineError
    expect(() => openCase(own, { kernels, engine: 'native' })).toThrow(missing)
    expect(() => openCase(lstm, { engine: 'native' })).toThrow(missing)
  })

  it('is recognised by its equations, not by its name', () => {
    const cells = lstm.network['cells'] as Record<string, Record<string, unknown>>
    const gru = (named('gru/characters').network['cells'] as typeof cells)['gru']!
    const renamed = { ...cells['lstm'], name: 'gru', title: gru['title'] }
    const about = { ...lstm, network: { ...lstm.network, cells: { lstm: renamed } } } as Case
    const { engine, h } = engineOf(openCase(about, { kernels }), lstm)
    expect(engine).toBe('native')
    expect(difference(h, engineOf(openCase(lstm), lstm).h)).toBeLessThan(1e-6)
  })

  it('is run by the plain engine if the kernels have no memory left', async () => {
    const full = await loadPlain()
    const network = openCase(lstm, { kernels: full })
    vi.spyOn(full.memory, 'take').mockImplementation(() => {
      throw new EngineError('KERNELS_MEMORY_FULL', { bytes: 1 })
    })
    expect(engineOf(network, lstm).engine).toBe('plain')
    expect(engineOf(openCase(lstm, { kernels: full }), lstm).engine).toBe('plain')
  })
})

it('networks that are closed leave nothing in the memory of the kernels', async () => {
  const fresh = await loadPlain()
  const about = named('lstm/bytes')
  const size = (): number => fresh.memory.views.float32.length
  const use = (): void => {
    const network = openCase(about, { kernels: fresh })
    engineOf(network, about)
    network.use(null)
  }
  for (let k = 0; k < 20; k++) use()
  const before = size()
  for (let k = 0; k < 300; k++) use()
  expect(size()).toBe(before)
})
