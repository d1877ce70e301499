// The explorer as a whole page.
import { mount } from 'svelte'
import type { Source } from '../data/source'
import App from '../pages/App.svelte'
import { Explorer } from '../state/explorer.svelte'
import '../page.css'

/** Show the explorer of a source in an element of the document. */
export function mountPage(target: HTMLElement, source: Source): void {
  mount(App, { target, props: { explorer: new Explorer(source) } })
}
