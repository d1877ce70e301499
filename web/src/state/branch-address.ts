// Branches in the address of the page: `branch=STEP:SYMBOL`, once for each branch.
//
//     branch=18:X     after step 18 the network reads X, and writes on
import type { Branch } from '../data/view'

const BRANCH = /^(\d{1,9}):([^]+)$/

/** The most branches of a view: each takes a row over the strips. */
export const MAX_BRANCHES = 6

/** Return a branch as it stands in the address. */
export const branchText = ({ step, symbol }: Branch): string => `${step}:${symbol}`

/** Return the branch of a part of an address; null if it does not describe one. */
export function parseBranch(part: string): Branch | null {
  const [, step, symbol] = BRANCH.exec(part) ?? []
  return step === undefined || symbol === undefined ? null : { step: Number(step), symbol }
}

/** Whether two branches are the same. */
export const isSameBranch = (a: Branch, b: Branch): boolean => a.step === b.step && a.symbol === b.symbol
