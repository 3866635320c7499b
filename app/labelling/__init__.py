"""Labels for a folder of photos: ``repvit-sam label``. A folder and its COCO JSON in, the same file out."""
