/**
 * The request and the answer of a model, as the API contract writes them.
 *
 * @typedef {object} Request
 * @property {string} asset_id
 * @property {string} asset_url a signed address that answers a plain GET
 * @property {'image' | 'video_frame' | 'point_cloud'} asset_type
 * @property {number} [width]
 * @property {number} [height]
 * @property {string[]} labels the labels that are wanted; empty means all that the model knows
 *
 * @typedef {object} Box pixels of the picture; origin top left
 * @property {number} x
 * @property {number} y
 * @property {number} width
 * @property {number} height
 *
 * @typedef {object} Detection
 * @property {string} label
 * @property {number} confidence
 * @property {Box} box
 *
 * @typedef {object} Mask
 * @property {'coco_rle'} format
 * @property {[height: number, width: number]} size
 * @property {string} counts COCO's compressed string, column by column
 *
 * @typedef {object} BoxAnnotation
 * @property {'bounding_box'} type
 * @property {string} label
 * @property {number} confidence
 * @property {Box} coordinates
 *
 * @typedef {object} MaskAnnotation
 * @property {'segmentation_mask'} type
 * @property {string} label
 * @property {number} confidence
 * @property {Mask} mask
 *
 * @typedef {BoxAnnotation | MaskAnnotation} Annotation
 *
 * @typedef {object} Answer
 * @property {Annotation[]} annotations
 * @property {true} [synthetic] the annotations are made up (load mode)
 *
 * @typedef {(request: Request) => Promise<Answer>} Model
 */
export {};
