// Addresses that version 0.1 wrote lead to what they led to; tests/fixtures/v0.1 is never written again.
import { expect, it } from 'vitest'
import { START, type ViewState } from '../src/data/view'
import { fromAddress } from '../src/state/address'
import addresses from '../../tests/fixtures/v0.1/addresses.json'

interface Witness {
  address: string
  state: Partial<ViewState>
}

const WITNESSES = addresses as unknown as Witness[]

it.each(WITNESSES)('address of version 0.1 opens: $address', ({ address, state }) => {
  const [search = '', fragment = ''] = address.split('#')
  const result = fromAddress(search, fragment && `#${fragment}`)
  expect(result).toMatchObject({ ...START, ...state, view: result.view })
  expect(result.view).toBe(state.view)
})
