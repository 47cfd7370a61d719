"""What encoded images say beside their pixels, and formats that OpenCV does not read."""
