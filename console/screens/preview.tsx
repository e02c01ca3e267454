import { useQuery } from '@tanstack/react-query';
import { useEffect, useRef } from 'react';
import type { Prediction, Result } from '../api/types.ts';
import { loadPicture, release } from '../editor/picture.ts';
import { colorOf } from '../editor/palette.ts';
import type { Picture } from '../editor/renderer.ts';
import { useApp } from '../ui/app.tsx';
import { Button, Problem } from '../ui/parts.tsx';
import { itemQuery, previewQuery } from '../ui/queries.ts';
import { thresholdsOf, type Choice } from './options.tsx';
import css from './settings.module.css';

/** Pixels, of the longer side. */
const SIZE = 320;

interface Props {
  readonly project: string;
  /** Of the project. */
  readonly labels: readonly string[];
  readonly choice: Choice;
}

/**
 * What the thresholds and labels leave of three drafts that are there. A preview of items without a draft would be a job: the API
 * has no prediction that is not one.
 */
export function Preview({ project, labels, choice }: Props) {
  const { client } = useApp();
  const { data, error, isFetching, refetch } = useQuery({ ...previewQuery(client, project), enabled: false });
  return (
    <section aria-label="Preview">
      <Button off={isFetching && 'It is being read.'} onClick={() => void refetch()}>
        Preview on three drafts
      </Button>
      {error ? <Problem error={error} /> : null}
      {data?.length === 0 ? (
        <p role="status">
          The newest 100 items have no draft to show. Run a job first, with a low threshold; a dry run counts only.
        </p>
      ) : null}
      {data && data.length > 0 ? (
        <>
          <ul className={css['previews']}>
            {data.map((result) => (
              <One key={result.uid} project={project} labels={labels} choice={choice} result={result} />
            ))}
          </ul>
          <p>A draft has no prediction below the threshold of its own job: below that, there is no more to see here.</p>
        </>
      ) : null}
    </section>
  );
}

function One({ project, labels, choice, result }: Props & { result: Result }) {
  const app = useApp();
  const { data, error } = useQuery(itemQuery(app, project, result.item));
  const canvas = useRef<HTMLCanvasElement>(null);
  const kept = result.annotations.filter((prediction) => keeps(choice, prediction));
  const url = data?.item.metadata.asset_type === 'point_cloud' ? null : data?.item.url;
  const picture = useQuery({
    queryKey: ['preview picture', result.item, url],
    enabled: typeof url === 'string',
    staleTime: Infinity,
    gcTime: 0,
    structuralSharing: false,
    queryFn: ({ signal }) => loadPicture(url ?? '', signal),
  }).data;
  useEffect(() => () => picture && release(picture), [picture]);
  useEffect(() => {
    const { width, height } = data?.item.metadata ?? {};
    if (canvas.current && picture) {
      draw(canvas.current, picture, { width: width ?? picture.width, height: height ?? picture.height }, kept, labels);
    }
  });
  const text = `${kept.length} of ${result.annotation_count} predictions stay`;
  return (
    <li>
      <canvas ref={canvas} width={SIZE} height={SIZE} role="img" aria-label={`${data?.item.key ?? 'Item'}: ${text}`} />
      <p>
        <bdi>{data?.item.key}</bdi>
        <br />
        {text}, of a job with a threshold of {Math.round((result.confidence_threshold ?? 0) * 100)} %.
      </p>
      {error ? <Problem error={error} /> : null}
    </li>
  );
}

/** Whether a job of this choice would keep a prediction (contract, 6.4). */
export function keeps(choice: Pick<Choice, 'threshold' | 'thresholds' | 'labels'>, { label, confidence }: Prediction): boolean {
  const own = new Map(thresholdsOf(choice)).get(label);
  return (choice.labels.length === 0 || choice.labels.includes(label)) && confidence >= (own ?? choice.threshold);
}

interface Extent {
  readonly width: number;
  readonly height: number;
}

/** Draws a picture, small, and what is kept over it. `of`: the frame of the geometry. */
function draw(canvas: HTMLCanvasElement, picture: Picture, of: Extent, kept: readonly Prediction[], labels: readonly string[]) {
  const scale = SIZE / Math.max(of.width, of.height);
  [canvas.width, canvas.height] = [Math.round(of.width * scale), Math.round(of.height * scale)];
  const context = canvas.getContext('2d');
  const level = picture.levels.at(-1);
  if (!context || !level) {
    return;
  }
  context.drawImage(level, 0, 0, canvas.width, canvas.height);
  context.scale(scale, scale);
  context.lineWidth = 2 / scale;
  for (const prediction of kept) {
    context.strokeStyle = colorOf(prediction.label, labels);
    context.stroke(outlineOf(prediction));
  }
}

/** Lines of what has lines; a mask or a cuboid is counted only. */
function outlineOf(prediction: Prediction): Path2D {
  const path = new Path2D();
  if (prediction.type === 'bounding_box') {
    const { x, y, width, height } = prediction.coordinates;
    path.rect(x, y, width, height);
  } else if (prediction.type === 'polygon' || prediction.type === 'polyline') {
    for (const [x = 0, y = 0] of prediction.points) {
      path.lineTo(x, y);
    }
    if (prediction.type === 'polygon') {
      path.closePath();
    }
  }
  return path;
}
