"""Parts of the photographs that come with scikit-image: which picture is it from? For any model of torchvision."""
