// What the five dashboards have in common: names that never change, variables, links to each other
// and to the runbook. A dashboard brings rows of panels.

import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  ConstantVariableBuilder,
  type Dashboard,
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  VariableHide,
  type VariableModel,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import { STANDARD_OPTIONS } from '../../src/publish/rules/options.ts';
import { NOT_REMOVED } from '../../src/publish/rules/removed.ts';
import { DATASOURCE, shown, variable } from './panel.ts';

const TAG = 'rxscope';

export interface Row {
  readonly id: number;
  readonly title: string;
  /** Folded up: its queries run only when someone opens it. */
  readonly collapsed?: true;
  readonly panels: readonly Builder<Panel>[];
}

export interface Frame {
  /** Stays as it is: bookmarks and links name a dashboard by it. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  /** One host at a time, or any number of them. */
  readonly hosts: 'one' | 'any';
  /** Whether its queries select by device. */
  readonly devices: boolean;
  readonly rows: readonly Row[];
}

export function dashboard(frame: Frame): Dashboard {
  const built = new DashboardBuilder(frame.title)
    .uid(frame.uid)
    .description(frame.description)
    .tags([TAG])
    .timezone('browser')
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .tooltip(DashboardCursorSync.Crosshair)
    .variables(variables(frame))
    .links([
      shown(
        new DashboardLinkBuilder('rxscope')
          .type(DashboardLinkType.Dashboards)
          .tags([TAG])
          .asDropdown(false)
          .includeVars(true)
          .keepTime(true),
      ),
      shown(
        new DashboardLinkBuilder('Runbook')
          .type(DashboardLinkType.Link)
          .icon('doc')
          .tooltip('What each alert means, what to look at, what to change')
          .url(variable('runbook'))
          .targetBlank(true),
      ),
    ]);
  for (const row of frame.rows) addRow(built, row);
  return built.build();
}

/** Panels of an open row stand beside it in the list, those of a folded row inside it. */
function addRow(built: DashboardBuilder, { id, title, collapsed, panels }: Row): void {
  const row = new RowBuilder(title).id(id).collapsed(collapsed === true);
  if (collapsed) for (const panel of panels) row.withPanel(panel);
  built.withRow(row);
  if (!collapsed) for (const panel of panels) built.withPanel(panel);
}

function variables({ hosts, devices }: Frame): Builder<VariableModel>[] {
  const several = hosts === 'any';
  const within = several ? 'job=~"$job"' : 'job="$job"';
  const onHost = `${within},instance${several ? '=~' : '='}"$instance"`;
  return [
    new DatasourceVariableBuilder('datasource')
      .label('Data source')
      .description('The Prometheus that scrapes the agents')
      .type('prometheus'),
    labelValues('job', 'Job', 'rxscope_build_info', several).description(
      'The scrape jobs that have rxscope agents',
    ),
    labelValues('instance', 'Host', `rxscope_build_info{${within}}`, several).description(
      'The agents of these jobs, also those that have stopped within the time range',
    ),
    ...(devices
      ? [
          labelValues(
            'device',
            'Device',
            `rxscope_received_packets_total{${onHost},${NOT_REMOVED}}`,
            true,
          )
            .description('Devices that packets came in by')
            // Also packets of no device, or of one that has gone.
            .allValue('.*'),
        ]
      : []),
    runbook(),
  ];
}

function labelValues(
  label: string,
  title: string,
  series: string,
  several: boolean,
): QueryVariableBuilder {
  const query = `label_values(${series}, ${label})`;
  const variable = new QueryVariableBuilder(label)
    .label(title)
    .datasource(DATASOURCE)
    .query({ query, refId: `${label}-variable` })
    .definition(query)
    // Also agents that have gone are found where the time range has them.
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.NaturalAsc)
    .multi(several)
    .includeAll(several);
  return several
    ? variable.current({ selected: true, text: ['All'], value: ['$__all'] })
    : variable;
}

/** Where the runbook is published is the operator's to say; `rxscope dashboards --runbook-url` does. */
function runbook(): Builder<VariableModel> {
  const constant = new ConstantVariableBuilder('runbook')
    .label('Runbook')
    .description('Where the runbook is')
    .value(STANDARD_OPTIONS.runbookUrl)
    .build();
  // The SDK's builder lacks this one setting, its type does not.
  return { build: () => ({ ...constant, hide: VariableHide.HideVariable }) };
}
