// Charts as all dashboards draw them: lines, single numbers, heatmaps, histories, the waterfall.

import { PanelBuilder as BarChart } from '@grafana/grafana-foundation-sdk/barchart';
import type { Builder } from '@grafana/grafana-foundation-sdk/cog';
import {
  AxisPlacement,
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  ScaleDistribution,
  ScaleDistributionConfigBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizOrientation,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import {
  FieldColorBuilder,
  FieldColorModeId,
  type Panel,
  type Threshold,
} from '@grafana/grafana-foundation-sdk/dashboard';
import {
  CellValuesBuilder,
  PanelBuilder as Heatmap,
  HeatmapColorMode,
  HeatmapColorOptionsBuilder,
  HeatmapColorScale,
  HeatmapTooltipBuilder,
  YAxisConfigBuilder,
} from '@grafana/grafana-foundation-sdk/heatmap';
import { PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as Stat } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as StatusHistory } from '@grafana/grafana-foundation-sdk/statushistory';
import { PanelBuilder as TimeSeries } from '@grafana/grafana-foundation-sdk/timeseries';
import { type Face, face, instant, overTime, type Query, thresholds } from './panel.ts';
import { organize, sortedBy } from './tables.ts';

/**
 * Points of a line, of the past behind a single number, and cells side by side. Prometheus reckons each anew, over every host;
 * Grafana would ask for one a pixel. A rate covers the time between two, so nothing falls through.
 */
const POINTS_MAX = { lines: 200, single: 60, cells: 100 };

export interface Lines extends Face {
  readonly queries: readonly Query[];
  readonly stacked?: true;
  readonly logarithmic?: true;
  /** Many series, of which the largest matter: the legend is a list beside it, by the latest value. */
  readonly many?: true;
  /** Series of this name are drawn as a dashed line: a limit, not a measurement. */
  readonly limit?: string;
}

/** Lines over time. */
export function lines(spec: Lines): Builder<Panel> {
  const panel = face(new TimeSeries(), spec)
    .targets(spec.queries.map((query, index) => overTime(query, index)))
    .maxDataPoints(POINTS_MAX.lines)
    .min(0)
    .drawStyle(GraphDrawStyle.Line)
    .lineWidth(1)
    .fillOpacity(spec.stacked ? 40 : 0)
    .showPoints(VisibilityMode.Never)
    .legend(spec.many ? rankedLegend() : legend())
    .tooltip(
      new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending),
    );
  if (spec.stacked) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal));
  if (spec.logarithmic)
    panel.scaleDistribution(
      new ScaleDistributionConfigBuilder().type(ScaleDistribution.Log).log(10),
    );
  if (spec.limit !== undefined)
    panel.overrideByName(spec.limit, [
      { id: 'custom.lineStyle', value: { fill: 'dash', dash: [10, 10] } },
      { id: 'color', value: { mode: 'fixed', fixedColor: 'red' } },
    ]);
  return panel;
}

export interface Single extends Face {
  readonly expr: string;
  /** Below the first it is green. */
  readonly thresholds: readonly Threshold[];
}

/** One number, coloured, with its past behind it. */
export function single(spec: Single): Builder<Panel> {
  return (
    face(new Stat(), { height: 4, ...spec })
      .targets([overTime({ expr: spec.expr }, 0)])
      .maxDataPoints(POINTS_MAX.single)
      .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false))
      .colorMode(BigValueColorMode.Value)
      .graphMode(BigValueGraphMode.Area)
      // Also of shares of nothing, which Prometheus has as NaN and Grafana would leave blank.
      .noValue('No data')
      .thresholds(thresholds(spec.thresholds))
  );
}

export interface Heat extends Face {
  /** Buckets of a histogram in both forms, or one series for each row. */
  readonly of: { readonly native: string; readonly classic: string } | Query;
  /** The value of the brightest colour; else the highest that is seen. */
  readonly max?: number;
}

/** A colour for each cell of time and value. */
export function heat(spec: Heat): Builder<Panel> {
  const targets =
    'expr' in spec.of
      ? [overTime(spec.of, 0)]
      : [
          // Native histograms come as cells of their own; the format `heatmap` is for classic ones.
          overTime({ expr: spec.of.native, exemplars: true }, 0),
          overTime({ expr: spec.of.classic, legend: '{{le}}', exemplars: true }, 1).format(
            PromQueryFormat.Heatmap,
          ),
        ];
  const rows = 'expr' in spec.of;
  const colour = new HeatmapColorOptionsBuilder()
    .mode(HeatmapColorMode.Scheme)
    .scheme('Turbo')
    .fill('dark-orange')
    .scale(HeatmapColorScale.Exponential)
    .exponent(0.5)
    .steps(64)
    .reverse(false);
  if (spec.max !== undefined) colour.min(0).max(spec.max);
  return (
    face(new Heatmap(), spec)
      .targets(targets)
      .maxDataPoints(POINTS_MAX.cells)
      .calculate(false)
      .color(colour)
      .cellGap(0)
      .yAxis(
        new YAxisConfigBuilder()
          .unit(rows ? 'none' : spec.unit)
          .axisPlacement(AxisPlacement.Left)
          .axisLabel(rows ? 'CPU' : ''),
      )
      // What a cell counts: a row's own value, or observations a second.
      .cellValues(new CellValuesBuilder().unit(rows ? spec.unit : 'cps'))
      .tooltip(
        new HeatmapTooltipBuilder()
          .mode(TooltipDisplayMode.Single)
          .yHistogram(!rows)
          .showColorScale(true),
      )
      .showLegend()
  );
}

/** A row for each series, coloured over time. */
export function history(spec: Face & { readonly query: Query }): Builder<Panel> {
  return face(new StatusHistory(), spec)
    .targets([overTime(spec.query, 0)])
    .maxDataPoints(POINTS_MAX.cells)
    .colorScheme(new FieldColorBuilder().mode(FieldColorModeId.ContinuousGrYlRd))
    .min(0)
    .showValue(VisibilityMode.Never)
    .rowHeight(0.9)
    .legend(new VizLegendOptionsBuilder().showLegend(false).calcs([]));
}

/** Horizontal bars that begin where `start` says and are `length` long; a row a label. */
export function waterfall(
  spec: Face & { readonly label: string; readonly start: string; readonly length: string },
): Builder<Panel> {
  const columns = [
    { name: spec.label },
    { name: 'begins', expr: spec.start },
    { name: 'takes', expr: spec.length },
  ];
  return face(new BarChart(), spec)
    .targets([instant(spec.start, 0), instant(spec.length, 1)])
    .transformations([{ id: 'merge', options: {} }, organize(columns), sortedBy(spec.label)])
    .xField(spec.label)
    .orientation(VizOrientation.Horizontal)
    .stacking(StackingMode.Normal)
    .showValue(VisibilityMode.Never)
    .barWidth(0.8)
    .fillOpacity(80)
    .legend(new VizLegendOptionsBuilder().showLegend(false).calcs([]))
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.None))
    .overrideByName('begins', [
      { id: 'color', value: { mode: 'fixed', fixedColor: 'transparent' } },
      { id: 'custom.fillOpacity', value: 0 },
      { id: 'custom.lineWidth', value: 0 },
    ]);
}

function rankedLegend(): VizLegendOptionsBuilder {
  return new VizLegendOptionsBuilder()
    .showLegend(true)
    .displayMode(LegendDisplayMode.Table)
    .placement(LegendPlacement.Right)
    .calcs(['lastNotNull'])
    .sortBy('Last *')
    .sortDesc(true);
}

function legend(): VizLegendOptionsBuilder {
  return new VizLegendOptionsBuilder()
    .showLegend(true)
    .displayMode(LegendDisplayMode.List)
    .placement(LegendPlacement.Bottom)
    .calcs([]);
}
