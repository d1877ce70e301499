// How networks beside each other are drawn in charts: a colour and dashes of their own, because a colour alone says little.

/** The lines, in the order of the networks. */
export const SERIES = [
  { stroke: 'var(--accent)', dashes: 'none' },
  { stroke: 'var(--negative)', dashes: '8 4' },
  { stroke: 'var(--good)', dashes: '2 3' },
] as const
