// The page of the local server.
import { HttpSource } from './data/http-source'
import { mountPage } from './hosts/page'

mountPage(document.getElementById('page')!, new HttpSource())
