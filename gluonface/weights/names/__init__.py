"""The names that other toolkits give the tensors of our backbones, one file per toolkit."""
