import fs from 'node:fs'; import sharp from 'sharp';
import * as tf from '@tensorflow/tfjs-core'; import {loadGraphModel} from '@tensorflow/tfjs-converter'; import '@tensorflow/tfjs-backend-wasm';
let t=Date.now();
await tf.setBackend('wasm'); console.log('backend',tf.getBackend(),Date.now()-t);
const dir='node_modules/@vladmandic/human/models/';
const j=JSON.parse(fs.readFileSync(dir+'centernet.json','utf8'));
const bin=fs.readFileSync(dir+'centernet.bin');
const model=await loadGraphModel({load:async()=>({modelTopology:j.modelTopology,weightSpecs:j.weightsManifest[0].weights,weightData:bin.buffer.slice(bin.byteOffset,bin.byteOffset+bin.byteLength),signature:j.signature,format:j.format,generatedBy:j.generatedBy,convertedBy:j.convertedBy})});
console.log('loaded',Date.now()-t);
import {labels} from './labels.tmp.mjs';
for(const f of process.argv.slice(2)){ t=Date.now();
 const meta=await sharp(f).metadata();
 const {data}=await sharp(f).flatten({background:'#fff'}).toColourspace('srgb').removeAlpha().resize(512,512,{fit:'fill',kernel:process.env.K||'linear',fastShrinkOnLoad:false}).raw().toBuffer({resolveWithObject:true});
 const x=tf.tensor4d(new Float32Array(data),[1,512,512,3]);
 const y=model.execute(x,'tower_0/detections'); const a=(await y.array())[0];
 console.log(f,meta.width,meta.height,Date.now()-t,'ms',a.filter(d=>d[4]>(+process.env.T||0.2)).map(d=>labels[d[5]]+' '+d[4].toFixed(2)+' ['+d.slice(0,4).map(v=>Math.round(v)).join(',')+']').join('; '));
 x.dispose();y.dispose();
}
