// Runs before any page script: gives the page a microphone that sings one tone and a camera that shows one
// colour, and ears and eyes for what arrives. `tone` is in hertz, `colour` is CSS.

/** Installed by the browser harness with the phone's own tone and colour. */
export function installSenses({ tone, colour }) {
  if (!navigator.mediaDevices) {
    return;
  }

  const sing = () => {
    const context = new AudioContext();
    const oscillator = new OscillatorNode(context, { frequency: tone });
    const out = context.createMediaStreamDestination();
    oscillator.connect(new GainNode(context, { gain: 0.3 })).connect(out);
    oscillator.start();
    return out.stream.getAudioTracks()[0];
  };

  const show = () => {
    const canvas = document.createElement('canvas');
    canvas.width = 320;
    canvas.height = 240;
    const paint = canvas.getContext('2d');
    let frame = 0;
    setInterval(() => {
      paint.fillStyle = colour;
      paint.fillRect(0, 0, canvas.width, canvas.height);
      paint.fillStyle = frame++ % 2 ? 'black' : 'white';
      paint.fillRect(0, 0, 8, 8);
    }, 100);
    return canvas.captureStream(10).getVideoTracks()[0];
  };

  navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
    const stream = new MediaStream();
    if (audio) {
      stream.addTrack(sing());
    }
    if (video) {
      stream.addTrack(show());
    }
    return stream;
  };

  const ears = new WeakMap();
  const ear = (stream) => {
    if (!ears.has(stream)) {
      const context = new AudioContext();
      // A remote stream reaches the audio graph only while a media element plays it.
      const pump = new Audio();
      pump.muted = true;
      pump.srcObject = stream;
      pump.play().catch(() => {});
      const analyser = new AnalyserNode(context, { fftSize: 4096, smoothingTimeConstant: 0 });
      context.createMediaStreamSource(stream).connect(analyser);
      ears.set(stream, { context, analyser, pump });
    }
    return ears.get(stream);
  };

  globalThis.senses = {
    /** Returns the loudness in dB of each frequency in a stream, -200 for none. */
    levels(stream, frequencies) {
      if (!stream || stream.getAudioTracks().length === 0) {
        return null;
      }
      const { context, analyser } = ear(stream);
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      const width = context.sampleRate / analyser.fftSize;
      return frequencies.map((frequency) => {
        const middle = Math.round(frequency / width);
        return Math.max(-200, ...bins.slice(middle - 2, middle + 3));
      });
    },

    /** Returns the red, green and blue in the middle of a stream's picture, or null before the first frame. */
    async colour(stream) {
      if (!stream || stream.getVideoTracks().length === 0) {
        return null;
      }
      const video = document.createElement('video');
      video.muted = true;
      video.srcObject = stream;
      await video.play();
      const canvas = new OffscreenCanvas(video.videoWidth || 1, video.videoHeight || 1);
      const paint = canvas.getContext('2d');
      paint.drawImage(video, 0, 0);
      const [red, green, blue] = paint.getImageData(canvas.width >> 1, canvas.height >> 1, 1, 1).data;
      video.srcObject = null;
      return { red, green, blue };
    },
  };
}
