"""Log-mel energies by torchaudio in float64: `python make_log_mel.py > log-mel.json` (torch, torchaudio)."""
import json
import math

import torch
import torchaudio

RATE = 8000
# A rising tone with a silent end.
samples = [math.sin(0.001 * i * (1 + i / 200)) * (0.8 if i < 1200 else 0) for i in range(1500)]
cases = []
for mels, low in ((40, 20), (13, 0)):
    made = torchaudio.transforms.MelSpectrogram(
        sample_rate=RATE, n_fft=256, win_length=256, hop_length=80, f_min=low, f_max=RATE / 2, n_mels=mels, power=2, center=False, norm=None, mel_scale='htk').double()
    made.spectrogram.window = torch.hann_window(256, periodic=True, dtype=torch.float64)
    made.mel_scale.fb = torchaudio.functional.melscale_fbanks(129, float(low), RATE / 2, mels, RATE, None, 'htk').double()
    energies = made(torch.tensor(samples, dtype=torch.float64))
    cases.append(dict(mels=mels, low=low, energies=[[round(v, 6) for v in frame] for frame in (energies + 1e-6).log().T.tolist()]))
print(json.dumps(dict(torchaudio=torchaudio.__version__, rate=RATE, cases=cases)))
