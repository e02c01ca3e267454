import Feature from 'ol/Feature.js';
import LineString from 'ol/geom/LineString.js';
import Polygon from 'ol/geom/Polygon.js';
import ImageLayer from 'ol/layer/Image.js';
import VectorImageLayer from 'ol/layer/VectorImage.js';
import OlMap from 'ol/Map.js';
import Projection from 'ol/proj/Projection.js';
import ImageCanvas from 'ol/source/ImageCanvas.js';
import VectorSource from 'ol/source/Vector.js';
import Stroke from 'ol/style/Stroke.js';
import Style from 'ol/style/Style.js';
import OlView from 'ol/View.js';
import type { Picture, Shape } from '../editor/renderer.ts';
import type { View } from '../editor/view.ts';
import type { Candidate } from './candidate.ts';

/** Canvas layers: the picture and the masks, all annotations in one VectorImageLayer that is drawn beyond the view and panned. */
export function openlayers(host: HTMLElement, picture: Picture, shapes: readonly Shape[]): Candidate {
  const extent = [0, 0, picture.width, picture.height];
  const projection = new Projection({ code: 'picture', units: 'pixels', extent });
  const view = new OlView({
    projection,
    center: [0, 0],
    resolution: 1,
    minResolution: 1 / 64,
    maxResolution: 64,
    constrainResolution: false,
  });
  const vectors = new VectorSource({ features: shapes.flatMap((shape) => featureOf(shape, picture.height) ?? []) });
  const layer = new VectorImageLayer({ source: vectors, imageRatio: 2, style: styleOf() });
  const map = new OlMap({ target: host, layers: [raster(picture, shapes), layer], view, controls: [], interactions: [] });
  return {
    setView: ({ scale, left, top }: View) => {
      const [width, height] = map.getSize() ?? [1, 1];
      view.setResolution(1 / scale);
      view.setCenter([(width! / 2 - left) / scale, picture.height - (height! / 2 - top) / scale]);
    },
    hit: (x, y, at) => {
      const pixel = [x * at.scale + at.left, y * at.scale + at.top];
      const found = map.forEachFeatureAtPixel(pixel, (feature) => feature.getId(), { hitTolerance: 4 });
      return typeof found === 'number' ? found : null;
    },
    drawn: () => new Promise((resolve) => map.once('rendercomplete', () => resolve())),
  };
}

function raster(picture: Picture, shapes: readonly Shape[]): ImageLayer<ImageCanvas> {
  const canvasFunction = (extent: number[], resolution: number, ratio: number, size: number[]) => {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [Math.round(size[0]!), Math.round(size[1]!)];
    const context = canvas.getContext('2d')!;
    const scale = ratio / resolution;
    const [left, top] = [-extent[0]! * scale, -(picture.height - extent[3]!) * scale];
    const level = Math.max(Math.min(Math.floor(Math.log2(1 / scale)), picture.levels.length - 1), 0);
    context.drawImage(picture.levels[level]!, left, top, picture.width * scale, picture.height * scale);
    for (const { mask } of shapes) {
      if (mask) {
        const { x, y, width, height } = mask.bounds;
        context.drawImage(mask.bitmap, x * scale + left, y * scale + top, width * scale, height * scale);
      }
    }
    return canvas;
  };
  return new ImageLayer({ source: new ImageCanvas({ canvasFunction, ratio: 2 }) });
}

function featureOf({ id, prediction, color }: Shape, height: number): Feature | null {
  const up = (points: readonly (readonly number[])[]) => points.map(([x, y]) => [x!, height - y!]);
  let geometry;
  if (prediction.type === 'bounding_box') {
    const { x, y, width, height: tall } = prediction.coordinates;
    geometry = new Polygon([
      up([
        [x, y],
        [x + width, y],
        [x + width, y + tall],
        [x, y + tall],
        [x, y],
      ]),
    ]);
  } else if (prediction.type === 'polygon') {
    geometry = new Polygon([up([...prediction.points, prediction.points[0]!])]);
  } else if (prediction.type === 'polyline') {
    geometry = new LineString(up(prediction.points));
  } else {
    return null;
  }
  const feature = new Feature({ geometry, color });
  feature.setId(id);
  return feature;
}

function styleOf(): (feature: { get(name: string): string }) => Style {
  const styles = new Map<string, Style>();
  return (feature) => {
    const color = feature.get('color');
    const style = styles.get(color) ?? new Style({ stroke: new Stroke({ color, width: 2 }) });
    styles.set(color, style);
    return style;
  };
}
