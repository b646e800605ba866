// Writes grafana/dashboards/ from this folder: npx tsx tools/dashboards/generate.ts

import { writeFileSync } from 'node:fs';
import { dashboardTexts } from './index.ts';

for (const [name, text] of dashboardTexts())
  writeFileSync(new URL(`../../grafana/dashboards/${name}`, import.meta.url), text);
