"""ONNX files as the engines and the import take them, whatever their exporter made of them."""
