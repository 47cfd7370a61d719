"""MXNet symbol and params -> ONNX, opset 13, without MXNet's retired exporter."""
