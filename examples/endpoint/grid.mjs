import sharp from 'sharp';
const fs=process.argv.slice(3); const W=440,H=340,C=3; const comps=[];
for(let i=0;i<fs.length;i++) comps.push({input:await sharp(fs[i]).resize(W,H,{fit:'inside'}).png().toBuffer(),left:(i%C)*W,top:Math.floor(i/C)*H});
await sharp({create:{width:C*W,height:Math.ceil(fs.length/C)*H,channels:3,background:'#888'}}).composite(comps).png().toFile(process.argv[2]);
