import { describe, expect, it } from 'vitest'
import { nearNames } from '../src/model/near-names'

describe('near names', () => {
  const runs = ['counter', 'counter-gru', 'state_memoriser', 'copy', 'python_code', '计数']

  it('are the ones with few other letters, the nearest first', () => {
    expect(nearNames('conter', runs)).toEqual(['counter'])
    expect(nearNames('Counter-GRU', runs)[0]).toBe('counter-gru')
    expect(nearNames('state_memorizer', runs)).toEqual(['state_memoriser'])
    expect(nearNames('pyhton_code', runs)).toEqual(['python_code'])
  })

  it('are the ones that have the name inside', () => {
    expect(nearNames('gru', runs)).toEqual(['counter-gru'])
    expect(nearNames('计', runs)).toEqual(['计数'])
  })

  it('are none for another name', () => {
    expect(nearNames('sentiment', runs)).toEqual([])
    expect(nearNames('', runs)).toEqual([])
    expect(nearNames('counter', [])).toEqual([])
  })
})
