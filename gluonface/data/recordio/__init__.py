"""Training sets in InsightFace's RecordIO layout: records, index, reader, writer, dataset."""
